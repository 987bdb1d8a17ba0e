"""Types at chat on a pseudo-terminal: prints "0 what" for each thing that is as it should be, else "1 what".

    chat_terminal.py TESSERA FOLDER [THINKER SPEAKER]

With two checkpoints of make_thinker.py, the second of which speaks: only how what they think is shown.
"""

import fcntl
import json
import os
import pty
import re
import select
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import time

TESSERA, WORK, *THINKERS = sys.argv[1:]
MODEL = "demo/checkpoint"
MOST = "300"  # tokens of an answer that there is time to stop
UP, LEFT = "\033[A", "\033[D"


def say(is_right, text, found=None):
    if not is_right:
        print(f"found {found!r}", file=sys.stderr)
    print(int(not is_right), text, flush=True)


class Chat:
    """One chat with a ledger of its own; `data` is its XDG_DATA_HOME."""

    def __init__(self, *options, data=None, model=MODEL, **environment):
        self.data = data or tempfile.mkdtemp(dir=WORK)
        self.ledger = os.path.join(self.data, "ledger.sqlite")
        words = [TESSERA, "chat", "--model", model, "--memory", "256MiB", "--ledger", self.ledger, "--ledger-text",
                 *([] if "--max-new" in options else ["--max-new", "4"]), *options]
        environment = {**os.environ, "TERM": "xterm", "XDG_DATA_HOME": self.data, "HOME": self.data, **environment}
        self.shown = self.mark = ""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execve(TESSERA, words, environment)
        self.resize(24, 80)
        self.before = termios.tcgetattr(self.terminal)
        self.n_seen = 0
        self.wait("> ")

    def resize(self, rows, columns):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        """Whether something came."""
        if not select.select([self.terminal], [], [], seconds)[0]:
            return False
        try:
            got = os.read(self.terminal, 65536)
        except OSError:
            got = b""
        self.shown += got.decode(errors="replace")
        return bool(got)

    def wait(self, text, seconds=10):
        """Reads until `text` is shown after what was waited for before."""
        deadline = time.time() + seconds
        while text not in self.shown[self.n_seen:]:
            if time.time() > deadline or (not self.read(0.05) and self.has_ended()):
                return False
        self.n_seen = self.shown.index(text, self.n_seen) + len(text)
        return True

    def type(self, keys):
        os.write(self.terminal, keys if isinstance(keys, bytes) else keys.encode())

    def begin(self, keys):
        """Types a question and waits for the begin of the answer."""
        while self.read(0.02):
            pass
        self.n_seen = len(self.shown)
        self.type(keys + (b"\r" if isinstance(keys, bytes) else "\r"))
        self.wait("\033[?2004l")
        self.read(1)

    def ask(self, keys):
        """Types a question and waits for the next prompt."""
        self.begin(keys)
        return self.wait("\033[?2004h") and self.wait("> ")

    def has_ended(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as status:
            return status.read().rsplit(")", 1)[1].split()[0] == "Z"

    def end(self, keys="\x04", seconds=10):
        """Types the end; the exit code, or None if it goes on."""
        self.type(keys)
        deadline = time.time() + seconds
        while not self.has_ended():
            self.read(0.05)
            if time.time() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return None
        while self.read(0.05):
            pass
        self.after = termios.tcgetattr(self.terminal)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.terminal)
        return code

    def asked(self):
        lines = subprocess.run([TESSERA, "ledger", "export", "--ledger", self.ledger], capture_output=True, text=True,
                               check=True).stdout.splitlines()
        return [json.loads(line)["prompt_text"] for line in lines if '"kind":"run"' in line]


def check_typing():
    text = "Österreich? café 北京 😀"
    for locale in ("C", "C.UTF-8", "de_AT.ISO-8859-1"):
        chat = Chat(LC_ALL=locale)
        chat.ask(text)
        code = chat.end()
        say(chat.asked() == [text] and code == 0, f"characters beyond ASCII with LC_ALL={locale}", (chat.asked(), code))
    say(all(part in chat.shown for part in (MODEL, "256.0 MiB", "4096", "Alt-Enter", "Ctrl-C", "Ctrl-D", "/reset")),
        "the greeting names model, budget, context and keys", chat.shown)
    say(chat.before == chat.after, "the terminal is left as it was", (chat.before, chat.after))
    say(chat.shown.rfind("\033[?2004l") > chat.shown.rfind("\033[?2004h"), "and no longer marks what is pasted", chat.shown)


def check_editing():
    chat = Chat("--temperature", "0")
    for keys in ("Helo" + LEFT + "l", "xGood\x01\x04", "one two\x17three", "bc\x01a\x05d", "a\033\rb", "a\x16\nb", "  \t ", "",
                 "\033[200~one\r\ttwo\r\n北京\r\033[201~", "see: \033[200~x\x04\x1b[Ay\nz\033[201~!", "/rest"):
        chat.ask(keys)
    chat.ask(UP + UP + "!")
    code = chat.end("/quit\r")
    expected = ["Hello", "Good", "one three", "abcd", "a\nb", "a\nb", "one\n\ttwo\n北京", "see: x\x04\x1b[Ay\nz!",
                "see: x\x04\x1b[Ay\nz!!"]
    asked = chat.asked()
    for i, what in enumerate(("an arrow", "Ctrl-A and Ctrl-D", "Ctrl-W", "Ctrl-A and Ctrl-E", "Alt-Enter begins a new line",
                              "so does Ctrl-V Ctrl-J", "pasted lines are one turn, a tab in them stays",
                              "nothing in pasted text is a key", "the up arrow brings back what was typed")):
        say(asked[i:i + 1] == expected[i:i + 1], what, asked[i:i + 1])
    say(len(asked) == len(expected) and code == 0, "lines of blanks and a mistyped command are no turns", (asked, code))
    slip = Chat()
    for keys in ("/imge photo.jpg", " /imge photo.jpg", "/usr/bin holds what?", "/reset the clock"):
        slip.ask(keys)
    code = slip.end()
    say("Did you mean /image?" in slip.shown, "a slip before a file's name is guessed", slip.shown)
    say(slip.asked() == [" /imge photo.jpg", "/usr/bin holds what?", "/reset the clock"] and code == 0,
        "and is no turn, as what begins with a blank is", (slip.asked(), code))
    mode = stat.S_IMODE(os.stat(os.path.join(chat.data, "tessera", "chat-history")).st_mode)
    say(mode == 0o600, "the history is the user's alone", oct(mode))

    with open(os.path.join(chat.data, "tessera", "chat-history"), encoding="utf-8") as file:
        blank = [line for line in file if re.fullmatch(r"(\\0(40|11|12))*\s*", line)]
    say(not blank, "blanks are not remembered", blank)

    again = Chat(data=chat.data)
    again.ask(UP + UP + "?")  # before /quit
    again.end()
    say(again.asked()[-1:] == [expected[-1] + "?"], "the history outlasts the chat", again.asked()[-1:])


def check_broken_characters():
    """Bytes of Latin-1, whose begun characters end with Enter, another byte or the end of a paste."""
    chat = Chat()
    for keys in (b"caf\xe9", b"\033[200~caf\xe9\033[201~", b"\xe9\xc3(", b"\xff\xfe\xf0\x9f\x98x"):
        chat.ask(keys)
    code = chat.end()
    expected = ["caf\ufffd", "caf\ufffd", "\ufffd\ufffd(", "\ufffd\ufffd\ufffdx"]
    say(chat.asked() == expected and code == 0, "what follows a broken character counts", (chat.asked(), code))


def check_ends():
    chat = Chat()
    chat.type("\x12\x13")
    time.sleep(0.3)
    chat.type("\x03")
    chat.wait("\033[?2004h")
    chat.wait("> ")
    code = chat.end()
    say(code == 0, "Ctrl-C while Ctrl-S holds the screen is no failure", code)
    chat = Chat()
    code = chat.end("half\x1c")
    say(code == -signal.SIGQUIT and chat.before == chat.after, "Ctrl-\\ leaves the terminal as it was", (code, chat.after))
    say(chat.shown.rfind("\033[?2004l") > chat.shown.rfind("\033[?2004h"), "and unmarked", chat.shown)


def check_history():
    chat = Chat("--history", "off")
    chat.ask("Hi")
    chat.end()
    say(not os.path.exists(os.path.join(chat.data, "tessera")), "--history off keeps nothing")
    path = os.path.join(chat.data, "many")
    with open(path, "w", encoding="ascii") as file:
        file.write("_HiStOrY_V2_\n" + "".join(f"question\\040{i}\n" for i in range(1500)))
    chat = Chat("--history", path)
    chat.ask(UP + "!")
    chat.end()
    with open(path, encoding="ascii") as file:
        n = len(file.readlines())
    say(chat.asked() == ["question 1499!"] and n == 1001, "a history keeps its last 1000 lines", (chat.asked(), n))
    chat = Chat("--history", os.path.join(chat.data, "no", "such", "folder"))
    chat.ask("Hi")
    code = chat.end()
    say(code == 0 and "not kept" in chat.shown, "a history that cannot be written is said, and stops nothing", chat.shown)


def check_history_elsewhere():
    folder = tempfile.mkdtemp(dir=WORK)
    kept, link, pipe = (os.path.join(folder, name) for name in ("kept", "link", "pipe"))
    open(kept, "w", encoding="ascii").close()
    os.symlink("kept", link)
    os.mkfifo(pipe)
    for path in (link, pipe):
        chat = Chat("--history", path)
        chat.ask("Hello")
        chat.end()
    with open(kept, encoding="utf-8") as file:
        say(os.path.islink(link) and "Hello" in file.read(), "a history behind a symbolic link is kept there", os.listdir(folder))
    say(stat.S_ISFIFO(os.stat(pipe).st_mode), "what is no file is not replaced by a history", os.stat(pipe))


def check_resize():
    chat = Chat()
    chat.type("What is the capital of France, the country whose capital ")
    chat.wait("capital ")
    for rows, columns in ((10, 30), (50, 200), (24, 80)):
        chat.resize(rows, columns)
        time.sleep(0.1)
    chat.ask("is asked for?")
    chat.end()
    say(chat.asked() == ["What is the capital of France, the country whose capital is asked for?"],
        "a line outlasts changes of the terminal's size", chat.asked())


def find_seed():
    """One whose answer, drawn almost evenly, does not end before its most tokens."""
    for seed in range(1, 60):
        made = subprocess.run([TESSERA, "run", "--model", MODEL, "--memory", "256MiB", "--ledger", "off", "--quiet", "--json",
                               "--prompt", "What can you do?", "--temperature", "100", "--max-new", MOST, "--seed", str(seed)],
                              capture_output=True, check=True).stdout
        if json.loads(made)["finish_reason"] == "length":
            return str(seed)
    return "0"


def check_interrupts():
    seed = find_seed()
    slow = ["--temperature", "100", "--max-new", MOST, "--seed", seed, "--threads", "1", "--isa", "reference",
            "--progress", "never"]
    chat = Chat(*slow)
    chat.type("never asked")
    chat.wait("never asked")
    for _ in range(3):
        chat.type("\x03")
        time.sleep(0.05)
    chat.begin("What can you do?")
    chat.type("\x03")
    stopped = chat.wait(" …") and chat.wait("> ")
    code = chat.end()
    say(chat.asked() == ["What can you do?"], "Ctrl-C at the prompt drops what was typed, and nothing else", chat.asked())
    say(stopped and code == 0, "Ctrl-C during an answer stops it, and not the chat", (stopped, code))

    chat = Chat(*slow)
    chat.begin("What can you do?")
    code = chat.end("\x04")
    out = subprocess.run([TESSERA, "ledger", "export", "--ledger", chat.ledger], capture_output=True, text=True, check=True).stdout
    runs = [json.loads(line) for line in out.splitlines() if '"kind":"run"' in line]
    say(code == 0 and [run["finish"] for run in runs] == ["length"], "Ctrl-D during an answer ends the chat after it", (code, runs))

    chat = Chat(*slow)
    chat.begin("What can you do?")
    chat.type("And then?\r")
    chat.wait("\033[?2004l", 30)
    chat.wait("\033[?2004h", 30)
    chat.end()
    say(chat.asked() == ["What can you do?", "And then?"], "what is typed during an answer is the next question", chat.asked())

    chat = Chat()
    chat.type("half a question")
    chat.wait("question")
    os.kill(chat.pid, signal.SIGTERM)
    code = chat.end("")
    say(code == -signal.SIGTERM and chat.before == chat.after, "SIGTERM ends it, with the terminal as it was", code)


def check_speech():
    """A voice that does not end by itself, as the demo's: Ctrl-C stops it and not the chat."""
    folder = tempfile.mkdtemp(dir=WORK)
    chat = Chat("--speak=" + folder, "--progress", "never", "--max-new", "40")
    chat.begin("Hello!")
    chat.type("\x03")
    stopped = chat.wait("> ")
    chat.ask("/speak off")
    chat.ask("Hello!")
    code = chat.end()
    sizes = {name: os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)}
    say(stopped and code == 0 and chat.asked() == ["Hello!"] * 2, "Ctrl-C stops speech, and not the chat", (stopped, code))
    say(list(sizes) == ["turn-1.wav"] and sizes["turn-1.wav"] > 1000, "what was spoken is kept", sizes)


def check_thinking(thinker, speaker):
    thought, answer = "<think>\r\nHm, yes!\r\n</think>", "\r\n\r\nFine.\r\n"

    def shown(*options, **more):
        chat = Chat("--quiet", *(options or ("--max-new", "20")), **more)
        chat.ask("Why?")
        chat.ask("Why?")
        chat.end()
        return chat.shown

    dimmed, cut = "\033[2m" + thought + "\033[0m" + answer, "\033[2m<think>\r\nHm\033[0m"
    for what, expected, found in (
            ("what is thought is dimmed, in every turn", dimmed, shown(model=thinker)),
            ("so it is where it is cut", cut, shown("--max-new", "2", model=thinker)),
            ("not with NO_COLOR", thought + answer, shown(model=thinker, NO_COLOR="1")),
            ("nor where a model that speaks says it", thought + answer, shown(model=speaker))):
        say(found.count(expected) == 2 and found.count("\033[2m") == 2 * expected.count("\033[2m"), what, found)
    found = shown("--think", "off", "--max-new", "20", model=thinker)
    say(found.count("Fine.\r\n") == 2 and "think" not in found and "\033[2m" not in found,
        "--think off: the answer alone, as it is", found)


if THINKERS:
    check_thinking(*THINKERS)
    sys.exit()
check_typing()
check_editing()
check_broken_characters()
check_ends()
check_history()
check_history_elsewhere()
check_resize()
check_interrupts()
check_speech()
