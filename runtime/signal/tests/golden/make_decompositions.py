"""Writes src/text/decompositions.rs: what canonical decomposition (NFD) leaves of a character once marks are dropped.

Needs: Python 3.11 or newer; decompositions of characters that stand in Unicode 9 never change. Reads the marks, and the
characters that are left alone, from src/text/ranges.rs.
Run:   python make_decompositions.py
"""

import re
import unicodedata
from pathlib import Path

TEXT = Path(__file__).parents[2] / "src" / "text"
HANGUL = range(0xAC00, 0xD7A4)  # decomposed by arithmetic


def ranges(codes):
    found = []
    for code in sorted(codes):
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return found


def table(source, name):
    body = source[source.index(f"const {name}:") :]
    body = body[: body.index("];")]
    pairs = re.findall(r"\((0x[0-9a-f]+), (0x[0-9a-f]+)\)", body)
    return {code for first, last in pairs for code in range(int(first, 16), int(last, 16) + 1)}


def lines(items, width):
    return ["    " + " ".join(items[at : at + width]) for at in range(0, len(items), width)]


def constant(doc, name, kind, items, width):
    return [f"/// {doc}", "#[rustfmt::skip]", f"pub(super) const {name}: &[{kind}] = &[", *lines(items, width), "];"]


def main():
    source = (TEXT / "ranges.rs").read_text()
    marks, alone = table(source, "MARK"), table(source, "NOT_DECOMPOSED")
    single, longer, classes, starters = [], [], {}, []
    for code in range(0x110000):
        if 0xD800 <= code < 0xE000 or code in HANGUL or code in alone:
            continue
        parts = unicodedata.normalize("NFD", chr(code))
        kept = [ord(part) for part in parts if ord(part) not in marks]
        if code in marks:
            assert not kept
            if any(unicodedata.combining(part) == 0 for part in parts):
                starters.append(code)
        elif parts == chr(code):
            if unicodedata.combining(chr(code)):
                classes[code] = unicodedata.combining(chr(code))
        elif len(kept) == 1:
            single.append((code, kept[0]))
        else:
            assert len(kept) in (2, 3)
            longer.append((code, kept))
    runs = [(first, [code for code, _ in single].index(first)) for first, _ in ranges(code for code, _ in single)]
    grouped = [
        (first, last, number)
        for number in sorted(set(classes.values()))
        for first, last in ranges(code for code, found in classes.items() if found == number)
    ]
    out = [
        "//! What NFD leaves of a character once marks are dropped; written by `tests/golden/make_decompositions.py`.",
        "",
        *constant(
            "Runs of characters that leave one: the first of them, and where in [`BASES`] its own stands.",
            "RUNS", "(u32, u16)", [f"({code:#x}, {at})," for code, at in runs], 6,
        ),
        "",
        *constant("What each character of the runs leaves.", "BASES", "u32", [f"{base:#x}," for _, base in single], 11),
        "",
        *constant(
            "Characters that leave several, padded with zeros.",
            "LONGER", "(u32, [u32; 3])",
            [f"({code:#x}, [{', '.join(f'{k:#x}' for k in (kept + [0])[:3])}])," for code, kept in longer], 2,
        ),
        "",
        *constant(
            "Characters that are no marks and yet have a combining class: first, last, class.",
            "CLASSES", "(u32, u32, u8)",
            [f"({first:#x}, {last:#x}, {number})," for first, last, number in sorted(grouped)], 4,
        ),
        "",
        *constant(
            "Marks across which none is reordered: their combining class is 0.",
            "STARTERS", "(u32, u32)", [f"({first:#x}, {last:#x})," for first, last in ranges(starters)], 5,
        ),
    ]
    (TEXT / "decompositions.rs").write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
