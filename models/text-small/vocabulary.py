"""The WordPiece vocabulary of text-small, trained on its own training texts.

The normalisation and the splitting into words are those of the steps `normalise_text@1` and
`wordpiece@1` in model.toml; only the list of pieces is learned here.
"""

import argparse
import string
import unicodedata
from collections import Counter
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
SIZE = 12000
# A character beyond ASCII stands in the vocabulary if it occurs in at least this many texts; emoji
# and signs that people write often pass, letters of other scripts do not.
MIN_TEXTS_WITH_CHARACTER = 8


def normalizer():
    return normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=True, lowercase=True
    )


def alphabet(texts):
    """The characters worth a piece of their own."""
    clean = normalizer()
    counts = Counter()
    for text in texts:
        counts.update(set(clean.normalize_str(text)))

    common = {
        c
        for c, n in counts.items()
        if n >= MIN_TEXTS_WITH_CHARACTER and not unicodedata.category(c).startswith(("L", "Z", "C"))
    }
    printable_ascii = {chr(code) for code in range(0x21, 0x7F)}
    return sorted((common | printable_ascii) - set(string.ascii_uppercase))


def train(texts, path, size=SIZE):
    """Writes `path`, one piece a line; the line number is the token id."""
    letters = alphabet(texts)
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    known = set(letters) | {" "}
    clean = normalizer()
    spoken = (
        "".join(c if c in known or c.isspace() else " " for c in clean.normalize_str(text))
        for text in texts
    )
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=SPECIAL,
        initial_alphabet=letters,
        min_frequency=3,
        show_progress=False,
    )
    tokenizer.train_from_iterator(spoken, trainer)
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])
    Path(path).write_text("".join(piece + "\n" for piece, _ in pieces), encoding="utf-8")


def main():
    from data import Corpora, shared_folder

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=shared_folder())
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("-o", "--out", type=Path, default=Path(__file__).with_name("vocab.txt"))
    arguments = parser.parse_args()
    corpora = Corpora(arguments.shared, arguments.seed)
    items = corpora.imdb + corpora.sst2 + corpora.emotions
    train([item.text for item in items], arguments.out)


if __name__ == "__main__":
    main()
