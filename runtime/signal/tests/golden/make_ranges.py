"""Writes src/text/ranges.rs and golden/text/characters.json from the behaviour of HF tokenizers on every character.

Needs: tokenizers==0.23.3 unicodedata2==18.0.0 (its Unicode version must be that of the crate unicode-normalization).
Run:   python make_ranges.py
"""

import hashlib
import json
from pathlib import Path

import tokenizers
import unicodedata2
from tokenizers import normalizers, pre_tokenizers

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src" / "text" / "ranges.rs"
CHARACTERS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
STEPS = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
BLOCK = 0x1000


def only(step):
    return normalizers.BertNormalizer(**{name: name == step for name in STEPS})


def ranges(codes):
    found = []
    for code in sorted(codes):
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return found


def young():
    """Characters that NFD of today decomposes or reorders and the library's NFD leaves alone."""
    nfd = normalizers.NFD()
    below, above = "\u0334", "\u0345"  # combining classes 1 and 240: the ends of the scale
    codes = []
    for code in CHARACTERS:
        c = chr(code)
        today = [unicodedata2.normalize("NFD", text) for text in (c, c + below, above + c)]
        if today != [c, c + below, above + c]:
            library = [nfd.normalize_str(text) for text in (c, c + below, above + c)]
            if library != today:
                assert library == [c, c + below, above + c], hex(code)
                codes.append(code)
    return codes


def write_source(tables):
    lines = [
        "//! Ranges of characters (first, last), sorted and disjoint; written by `tests/golden/make_ranges.py`.",
        "",
    ]
    for name, doc, codes in tables:
        pairs = [f"({first:#x}, {last:#x})," for first, last in ranges(codes)]
        lines += [f"/// {doc}", "#[rustfmt::skip]", f"pub(super) const {name}: &[(u32, u32)] = &["]
        for at in range(0, len(pairs), 5):
            lines.append("    " + " ".join(pairs[at : at + 5]))
        lines += ["];", ""]
    SOURCE.write_text("\n".join(lines[:-1]) + "\n")


def main():
    steps = {step: only(step) for step in STEPS}
    cutter = pre_tokenizers.BertPreTokenizer()
    dropped, marks, punctuation, caseless = [], [], [], []
    digests = {step: {} for step in (*STEPS, "words")}
    for code in CHARACTERS:
        text = f"a{chr(code)}b"
        outputs = {step: steps[step].normalize_str(text) for step in STEPS}
        c = chr(code)
        known = unicodedata2.category(c) != "Cn" and (unicodedata2.category(c) not in ("Lu", "Lt", "Nl", "So") or outputs["lowercase"] != text)
        if not known:
            # A newer compiler may know a lower case of such a character.
            caseless.append(code)
            outputs["lowercase"] = ""
        words = [word for word, _ in cutter.pre_tokenize_str(text)]
        outputs["words"] = "\n".join(words)
        for step, output in outputs.items():
            hasher = digests[step].setdefault(code // BLOCK, hashlib.sha256())
            hasher.update(output.encode() + b"\0")
        if code < 0x80:
            continue
        if outputs["clean_text"] == "ab":
            dropped.append(code)
        if outputs["strip_accents"] == "ab":
            marks.append(code)
        if words == ["a", chr(code), "b"]:
            punctuation.append(code)
    write_source(
        [
            ("CONTROL", "U+FFFD and the categories Cc, Cf and Co.", dropped),
            ("MARK", "Category Mn.", marks),
            ("PUNCTUATION", "Categories P*.", punctuation),
            ("NOT_DECOMPOSED", "Characters NFD leaves alone, their decomposition or class being younger.", young()),
        ]
    )
    golden = {
        "tokenizers": tokenizers.__version__,
        "block": BLOCK,
        "without_lower_case": ranges(caseless),
        # Cut to 16 digits: enough to notice any difference.
        "digests": {s: [d[b].hexdigest()[:16] for b in sorted(d)] for s, d in digests.items()},
    }
    (HERE / "text" / "characters.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
