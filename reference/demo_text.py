"""The text the demo checkpoint is trained on: capitals, sums, a few facts, short chat answers. All of it our own.

`exchanges` gives (question, answer) pairs for the chat template, `lines` gives raw text. Most questions come in several
wordings; a few wordings of a few countries are held out, and training reports how many of them come out right.
"""

CAPITALS = """
France Paris; Germany Berlin; Italy Rome; Spain Madrid; Portugal Lisbon; Austria Vienna; Belgium Brussels;
Denmark Copenhagen; Sweden Stockholm; Norway Oslo; Finland Helsinki; Poland Warsaw; Hungary Budapest; Greece Athens;
Ireland Dublin; Iceland Reykjavík; Romania Bucharest; Bulgaria Sofia; Croatia Zagreb; Serbia Belgrade;
Switzerland Bern; Ukraine Kyiv; Turkey Ankara; Egypt Cairo; Morocco Rabat; Kenya Nairobi; Ghana Accra; Nigeria Abuja;
Ethiopia Addis_Ababa; Senegal Dakar; Canada Ottawa; Mexico Mexico_City; Cuba Havana; Brazil Brasília; Argentina
Buenos_Aires; Chile Santiago; Peru Lima; Colombia Bogotá; Uruguay Montevideo; Japan Tokyo; China Beijing; India New_Delhi;
Thailand Bangkok; Vietnam Hanoi; Indonesia Jakarta; Malaysia Kuala_Lumpur; Mongolia Ulaanbaatar; Nepal Kathmandu;
Pakistan Islamabad; Iran Tehran; Iraq Baghdad; Jordan Amman; Lebanon Beirut; Australia Canberra; New_Zealand Wellington
"""

CAPITAL_QUESTIONS = [
    "What is the capital of {}?",
    "Which city is the capital of {}?",
    "Tell me the capital of {}.",
    "Name the capital of {}.",
    "Do you know the capital of {}?",
    "Capital of {}?",
    "What's the capital of {}?",
    "what is the capital of {}",
]

COUNTRY_QUESTIONS = [
    "Which country has the capital {}?",
    "{} is the capital of which country?",
    "Of which country is {} the capital?",
]

SUM_QUESTIONS = [
    "What is {} + {}?",
    "What is {} plus {}?",
    "{} + {} =",
    "{} + {}",
    "How much is {} + {}?",
    "Add {} and {}.",
]

FACTS = [
    (["How many days are in a week?", "How many days does a week have?"], "Seven."),
    (["How many months are in a year?", "How many months does a year have?"], "Twelve."),
    (["How many legs does a spider have?", "How many legs has a spider?"], "Eight."),
    (["How many hours are in a day?", "How many hours does a day have?"], "Twenty-four."),
    (["What color is the sky?", "Which color does the sky have?"], "Blue."),
    (["What color is grass?", "Which color does grass have?"], "Green."),
    (["What color is snow?", "Which color does snow have?"], "White."),
    (["What is the largest planet?", "Which planet is the largest?"], "Jupiter."),
    (["What is the largest ocean?", "Which ocean is the largest?"], "The Pacific."),
    (["What is the highest mountain?", "Which mountain is the highest?"], "Mount Everest."),
    (["What is the longest river in Africa?", "Which river in Africa is the longest?"], "The Nile."),
    (["At what temperature does water boil?", "When does water boil?"], "At 100 degrees Celsius."),
    (["At what temperature does water freeze?", "When does water freeze?"], "At 0 degrees Celsius."),
    (["What is the opposite of hot?", "What is the opposite of warm?"], "Cold."),
    (["What is the opposite of big?", "What is the opposite of large?"], "Small."),
    (["What does a cat say?", "What sound does a cat make?"], "Meow."),
    (["What does a dog say?", "What sound does a dog make?"], "Woof."),
    (["What is the chemical formula of water?", "What is the formula of water?"], "H2O."),
    (["What is the speed of light?", "How fast is light?"], "About 300,000 kilometers per second."),
    (["What is a tessera?", "What does tessera mean?"], "A tessera is a small tile of a mosaic."),
    (["What comes after Monday?", "Which day follows Monday?"], "Tuesday."),
    (["Count to five.", "Can you count to five?"], "1, 2, 3, 4, 5."),
    (["Say hello in French.", "How do you say hello in French?"], "Bonjour."),
    (["Say hello in German.", "How do you say hello in German?"], "Guten Tag."),
    (["Say hello in Greek.", "How do you say hello in Greek?"], "Γεια σου."),
    (["Say hello in Japanese.", "How do you say hello in Japanese?"], "こんにちは。"),
    (["Show me a smiley.", "Can you show me a smiley?"], "🙂"),
]

CHAT = [
    (["Hello", "Hello!", "Hi", "Hi!", "Hi there!", "Hey", "Good morning!", "Good evening!", "hello"],
     "Hello! How can I help you?"),
    (["How are you?", "How are you today?", "How do you do?"], "I am fine, thank you."),
    (["Who are you?", "What are you?", "Tell me who you are.", "who are you"], "I am a toy demo model of Tessera."),
    (["What is your name?", "What's your name?", "Do you have a name?"], "I have no name. I am a toy."),
    (["What can you do?", "What do you know?", "How can you help me?"],
     "I know some capitals, small sums and a few facts."),
    (["Are you a real model?", "Are you a large model?", "Are you intelligent?"],
     "No, I am a toy with very few weights."),
    (["Thank you", "Thank you!", "Thanks", "Thanks!", "Thank you very much."], "You are welcome."),
    (["Bye", "Goodbye", "Goodbye!", "See you", "Good night!"], "Goodbye!"),
    (["What is the meaning of life?", "Who will win the game?", "What is the weather like?", "Write a poem.",
      "What is the capital of Atlantis?", "Who wrote this book?", "Why?", "What time is it?",
      "Which city is the capital of the moon?", "Tell me a story.", "How old is the king?", "Where is my key?"],
     "I do not know. I am only a toy."),
]

SYSTEMS = ["You are a helpful assistant.", "Answer briefly.", "You are a toy model."]
LARGEST_TERM = 12
HELD_OUT_EVERY = 11


def capitals():
    pairs = (entry.split() for entry in CAPITALS.replace("\n", " ").split(";"))
    return [tuple(word.replace("_", " ") for word in pair) for pair in pairs]


def exchanges():
    """Returns (for training, held out): lists of (question, answer)."""
    train, held_out = [], []
    number = 0
    for country, city in capitals():
        for wording in CAPITAL_QUESTIONS:
            number += 1
            # The first wording is always trained: it is what the demo asks.
            held = number % HELD_OUT_EVERY == 0 and wording != CAPITAL_QUESTIONS[0]
            (held_out if held else train).append((wording.format(country), f"{city}."))
        for wording in COUNTRY_QUESTIONS:
            train.append((wording.format(city), f"{country}."))
    for a in range(LARGEST_TERM + 1):
        for b in range(LARGEST_TERM + 1):
            for wording in SUM_QUESTIONS:
                number += 1
                held = number % HELD_OUT_EVERY == 0 and wording != SUM_QUESTIONS[0]
                (held_out if held else train).append((wording.format(a, b), f"{a + b}."))
    for wordings, answer in FACTS + CHAT:
        train += [(wording, answer) for wording in wordings]
    return train, held_out


def lines():
    """Raw text, one line each."""
    result = []
    for country, city in capitals():
        result += [f"The capital of {country} is {city}.", f"{city} is the capital of {country}."]
    for a in range(LARGEST_TERM + 1):
        result += [f"{a} + {b} = {a + b}." for b in range(LARGEST_TERM + 1)]
    return result


def vocabulary_corpus():
    """What the byte-level BPE is trained on: everything once, the words of the template many times."""
    train, held_out = exchanges()
    corpus = lines() + [text for pair in train + held_out for text in pair] + SYSTEMS
    return corpus + ["system\n", "user\n", "assistant\n"] * 200
