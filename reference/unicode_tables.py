#!/usr/bin/env python3
"""Observes the Unicode behaviour of the original tokenizer and writes it as C tables and golden files.

    unicode_tables.py            writes src/text/unicode_tables.c and tests/golden/unicode/
    unicode_tables.py --check    observes again, compares with the files in the tree, exit 1 on a difference

The pinned `tokenizers` package classifies characters by one Unicode version (16.0) and normalises by another (9.0), and
neither is the version of any one library of Debian. So nothing is taken from a Unicode data file here: everything is
asked of the package, code point by code point.

  classes       the code point vanishes under Replace(Regex(class), "")
  combining     its place among known marks: NFD swaps two neighbours if the first has the higher class
  decomposed    NFD of the code point alone; the pair is (NFC of all but the last, the last)
  composed      NFC gives the decomposed code point back
"""

import hashlib
import random
import sys
import unicodedata
from pathlib import Path

from tokenizers import Regex, normalizers, pre_tokenizers

from prompt import PATTERN

ROOT = Path(__file__).resolve().parent.parent
TABLES = ROOT / "src" / "text" / "unicode_tables.c"
GOLDEN = ROOT / "tests" / "golden" / "unicode"

CODES = [code for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
CLASSES = {"letter": r"\p{L}", "number": r"\p{N}", "space": r"\s"}
CLASS_NAMES = ["other", *CLASSES]
HANGUL = range(0xAC00, 0xAC00 + 11172)
HANGUL_V, HANGUL_T = range(0x1161, 0x1176), range(0x11A8, 0x11C3)
LOW_MARK, HIGH_MARK = "\u0334", "\u0345"  # the lowest (1) and the highest (240) combining class

nfd = normalizers.NFD().normalize_str
nfc = normalizers.NFC().normalize_str


# ---- observing

def observe_classes():
    """The class of every code point, as an index into CLASS_NAMES."""
    classes = dict.fromkeys(CODES, 0)
    for index, pattern in enumerate(CLASSES.values(), 1):
        erase = normalizers.Replace(Regex(pattern), "").normalize_str
        for code in CODES:
            if erase(chr(code)) == "":
                assert classes[code] == 0, f"U+{code:04X} is of two classes"
                classes[code] = index
    return classes


def moves_before(first, second):
    """True if normalising puts `second`, written after `first`, before it."""
    return first != second and nfd("a" + first + second) == "a" + second + first


def observe_combining():
    """The combining classes of the code points that are ordered at all."""
    ordered = [
        code for code in CODES
        if nfd(chr(code)) == chr(code) and (moves_before(chr(code), LOW_MARK) or moves_before(HIGH_MARK, chr(code)))
    ]
    # Python's own table only proposes one mark for each class; that it stands where proposed is observed below.
    known = {}
    for code in ordered:
        known.setdefault(unicodedata.combining(chr(code)), chr(code))
    levels = sorted(known)
    for low, high in zip(levels, levels[1:]):
        assert moves_before(known[high], known[low]), f"classes {low} and {high} are not distinct"
    combining = {}
    for code in ordered:
        mark = chr(code)
        same = [k for k in levels if not moves_before(mark, known[k]) and not moves_before(known[k], mark)]
        assert len(same) == 1, f"U+{code:04X} has no place among the marks"
        combining[code] = same[0]
    return combining


def observe_decompositions():
    """One step of each decomposition but the Hangul syllables': code -> (first, second or 0), and who composes."""
    full = {code: nfd(chr(code)) for code in CODES}
    full = {code: text for code, text in full.items() if text != chr(code)}
    for code in HANGUL:
        index = code - HANGUL.start
        parts = [0x1100 + index // 588, 0x1161 + index % 588 // 28, 0x11A7 + index % 28]
        assert full.pop(code) == "".join(map(chr, parts[: 3 if index % 28 else 2])), "Hangul is not arithmetic"
    by_text = {text: code for code, text in sorted(full.items(), reverse=True)}
    pairs, composing = {}, set()
    for code, text in full.items():
        if len(text) == 1:
            pairs[code] = (ord(text), 0)
            continue
        head = text[:-1] if len(text) == 2 else nfc(text[:-1])
        first = ord(head) if len(head) == 1 else by_text[text[:-1]]
        pairs[code] = (first, ord(text[-1]))
        if nfc(text) == chr(code):
            composing.add(code)
            assert nfc(chr(first) + text[-1]) == chr(code)
    return pairs, composing


# ---- the algorithm the tables serve, to prove them against the package

class Normaliser:
    def __init__(self, pairs, composing, combining):
        self.pairs, self.combining = pairs, combining
        self.by_pair = {pairs[code]: code for code in composing}

    def decompose(self, code):
        if code in HANGUL:
            index = code - HANGUL.start
            parts = [0x1100 + index // 588, 0x1161 + index % 588 // 28]
            return parts + ([0x11A7 + index % 28] if index % 28 else [])
        if code not in self.pairs:
            return [code]
        first, second = self.pairs[code]
        return self.decompose(first) + ([second] if second else [])

    def compose(self, first, second):
        if 0x1100 <= first <= 0x1112 and second in HANGUL_V:
            return HANGUL.start + ((first - 0x1100) * 21 + second - 0x1161) * 28
        if first in HANGUL and (first - HANGUL.start) % 28 == 0 and second in HANGUL_T:
            return first + second - 0x11A7
        return self.by_pair.get((first, second))

    def nfc(self, text):
        order = []
        for code in (part for char in text for part in self.decompose(ord(char))):
            rank = self.combining.get(code, 0)
            place = len(order)
            while rank and place and self.combining.get(order[place - 1], 0) > rank:
                place -= 1
            order.insert(place, code)
        result, starter, last_rank = [], None, None
        for code in order:
            rank = self.combining.get(code, 0)
            open_way = last_rank is None or (last_rank < rank and last_rank != 0)
            joined = self.compose(result[starter], code) if starter is not None and open_way else None
            if joined is not None:
                result[starter] = joined
                continue
            result.append(code)
            last_rank = rank
            if rank == 0:
                starter, last_rank = len(result) - 1, None
        return "".join(map(chr, result))


# ---- test texts

NFC_TEMPLATES = [
    "{}", "A\u0345{}", "A{}\u0334", "A{}\u0323\u0301", "{}\u0301", "{}\u0338\u0345", "\u0928{}\u093c", "\u1100{}\u11a8",
    "{0}{0}",
]
SPLIT_TEMPLATE = "a{0}b {0} 1{0}\n{0}{0}!{0} \n'{0}'r{0}'l{0}'v{0}'{0}e'{0}l  {0}?"
BLOCK = 0x1000


def block_hash(codes, line_of):
    digest = hashlib.sha256()
    for code in codes:
        digest.update(line_of(code))
    return digest.hexdigest()[:32]


def split_lengths(pre_tokenizer, text):
    return " ".join(str(len(piece.encode())) for piece, _ in pre_tokenizer.pre_tokenize_str(text))


def random_texts(pairs, combining, count):
    """Texts in which decompositions, marks in any order, jamo and syllables meet."""
    source = random.Random(16)
    marks, composed = sorted(combining), sorted(pairs)
    pick = [
        lambda: source.choice(marks), lambda: source.choice(marks), lambda: source.choice(composed),
        lambda: source.choice(range(0x61, 0x7B)), lambda: source.choice(range(0x1100, 0x1200)),
        lambda: source.choice(HANGUL), lambda: source.choice(pairs[source.choice(composed)]) or 0x41,
    ]
    return ["".join(chr(source.choice(pick)()) for _ in range(source.randint(2, 9))) for _ in range(count)]


def hexes(text):
    return " ".join(f"{ord(char):X}" for char in text)


# ---- writing

HEAD = """\
/* Unicode as the original tokenizer sees it. Generated by reference/unicode_tables.py, not edited.
 *
 * Observed code point by code point in the pinned `tokenizers` package, whose pattern engine knows
 * the character classes of Unicode 16.0 and whose normaliser the marks and compositions of Unicode
 * 9.0. The facts are those of the Unicode Character Database, (c) Unicode, Inc., under the Unicode
 * License V3: LICENSES/Unicode-3.0.txt.
 */
#include "text/unicode_tables.h"

"""


def rows(items, width=114):
    lines, line = [], ""
    for item in items:
        if len(line) + len(item) + 2 > width:
            lines.append(line)
            line = ""
        line += (" " if line else "") + item + ","
    return "\n".join("    " + line for line in [*lines, line]) + "\n"


def runs(value_of):
    """(first code point, value) wherever the value changes, surrogates counted as value 0."""
    result = []
    for code in range(0x110000):
        value = value_of(code)
        if not result or result[-1][1] != value:
            result.append((code, value))
    return result


def c_source(classes, combining, pairs, composing):
    seconds = {pairs[code][1] for code in composing}
    sensitive = {
        code for code in CODES
        if code in combining or code in seconds or code in HANGUL_V or code in HANGUL_T or nfc(chr(code)) != chr(code)
    }
    class_runs = runs(lambda code: classes.get(code, 0) | (code in sensitive) << 2)
    combining_runs = runs(lambda code: combining.get(code, 0))
    ordered = sorted(pairs)
    place = {code: i for i, code in enumerate(ordered)}
    joined = sorted(composing, key=lambda code: pairs[code])
    text = HEAD
    text += "/* clang-format off */\n"
    text += f"const uint32_t tess_unicode_runs[TESS_UNICODE_N_RUNS] = {{\n"
    text += rows(f"0x{code << 3 | value:X}" for code, value in class_runs) + "};\n\n"
    text += f"const uint32_t tess_unicode_combining_runs[TESS_UNICODE_N_COMBINING_RUNS] = {{\n"
    text += rows(f"0x{code << 8 | value:X}" for code, value in combining_runs) + "};\n\n"
    text += f"const tess_unicode_pair tess_unicode_decompositions[TESS_UNICODE_N_DECOMPOSITIONS] = {{\n"
    text += rows(f"{{0x{c:X}, 0x{pairs[c][0]:X}, 0x{pairs[c][1]:X}}}" for c in ordered) + "};\n\n"
    text += f"const uint16_t tess_unicode_compositions[TESS_UNICODE_N_COMPOSITIONS] = {{\n"
    text += rows(str(place[code]) for code in joined) + "};\n/* clang-format on */\n"
    counts = {
        "RUNS": len(class_runs), "COMBINING_RUNS": len(combining_runs), "DECOMPOSITIONS": len(ordered),
        "COMPOSITIONS": len(joined),
    }
    return text, counts


def golden_files(classes, combining, pairs, composing):
    """The golden files by name. Expected values come from the package, never from the tables."""
    files = {}
    lines = []
    for (first, value), (after, _) in zip(class_list := runs(lambda c: classes.get(c, 0)), [*class_list[1:], (0x110000, 0)]):
        lines.append(f"{first:X} {after - 1:X} {CLASS_NAMES[value]}\n")
    files["classes.txt"] = "".join(lines)
    texts = [nfd(chr(code)) for code in sorted(pairs)] + random_texts(pairs, combining, 1500)
    files["nfc_cases.txt"] = "".join(f"{hexes(text)};{hexes(nfc(text))}\n" for text in texts)
    splitter = pre_tokenizers.Split(Regex(PATTERN), behavior="isolated")
    blocks = [range(start, start + BLOCK) for start in range(0, 0x110000, BLOCK)]
    lines = []
    for block in blocks:
        codes = [code for code in block if not 0xD800 <= code <= 0xDFFF]
        lines += [
            f"{block.start:X} nfc {i} "
            + block_hash(codes, lambda code: (nfc(template.format(chr(code))) + "\n").encode()) + "\n"
            for i, template in enumerate(NFC_TEMPLATES)
        ]
        split = block_hash(codes, lambda code: f"{split_lengths(splitter, SPLIT_TEMPLATE.format(chr(code)))}\n".encode())
        lines.append(f"{block.start:X} split 0 {split}\n")
    files["blocks.txt"] = "".join(lines)
    return files


def prove(combining, pairs, composing):
    """The tables with the textbook algorithm give what the package gives, on every template and random text."""
    normaliser = Normaliser(pairs, composing, combining)
    for template in NFC_TEMPLATES:
        for code in CODES:
            text = template.format(chr(code))
            assert normaliser.nfc(text) == nfc(text), f"NFC of {hexes(text)}"
    for text in random_texts(pairs, combining, 100000):
        assert normaliser.nfc(text) == nfc(text), f"NFC of {hexes(text)}"


def main():
    check = sys.argv[1:] == ["--check"]
    classes, combining = observe_classes(), observe_combining()
    pairs, composing = observe_decompositions()
    prove(combining, pairs, composing)
    source, counts = c_source(classes, combining, pairs, composing)
    files = {TABLES: source}
    files.update({GOLDEN / name: text for name, text in golden_files(classes, combining, pairs, composing).items()})
    header = (TABLES.with_suffix(".h")).read_text()
    wrong = [f"unicode_tables.h: TESS_UNICODE_N_{name} is not {count}" for name, count in counts.items()
             if f"TESS_UNICODE_N_{name} = {count}" not in header]
    for path, text in files.items():
        if check:
            if not path.exists() or path.read_text() != text:
                wrong.append(f"{path.relative_to(ROOT)} is not what the original shows")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    print("\n".join(wrong) or f"{len(files)} files, {len(CODES)} code points: as the original")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
