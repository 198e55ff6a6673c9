"""Writes golden/text/*: token ids that HF tokenizers gives for the lines of text_corpus.py.

Needs: tokenizers==0.23.3
Run:   python make_text.py [--train] [--bert ../shared/data/checkpoints/tokenizers/bert_vocab/vocab.txt]

`--train` trains vocab.txt anew on the corpus; else the committed one is used. `--bert` also writes ids for the
vocabulary of BERT base uncased: only numbers, keyed by the vocabulary's SHA-256.
"""

import argparse
import hashlib
import json
from pathlib import Path

import tokenizers
from text_corpus import SENTENCES, lines
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

HERE = Path(__file__).parent / "text"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
# clean, split_cjk, lower, strip_accents, max_chars_per_word
CONFIGS = [
    (True, True, True, True, 100),
    (True, True, False, False, 100),
    (True, False, True, False, 100),
    (False, False, False, True, 100),
    (False, True, True, True, 8),
    (False, False, False, False, 1),
]


def normaliser(clean, split_cjk, lower, strip_accents):
    return normalizers.BertNormalizer(
        clean_text=clean, handle_chinese_chars=split_cjk, strip_accents=strip_accents, lowercase=lower
    )


def train():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normaliser(True, True, True, True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=1600, special_tokens=SPECIAL, limit_alphabet=500)
    # Cased and accented lines too, so that every configuration finds pieces of its own.
    tokenizer.train_from_iterator(lines(), trainer)
    learned = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    tokens = [token for token, _ in learned]
    cased = sorted({c for c in SENTENCES if not c.isspace()} - set(tokens))
    tokens += cased + [f"##{c}" for c in cased if f"##{c}" not in tokens]
    (HERE / "vocab.txt").write_text("\n".join(tokens) + "\n")


def encode(vocabulary, config):
    """Per line: ids, number of words, first 16 digits of the normalised text's SHA-256."""
    *flags, max_chars = config
    model = models.WordPiece(
        vocab=vocabulary, unk_token="[UNK]", continuing_subword_prefix="##", max_input_chars_per_word=max_chars
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normaliser(*flags)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    for line in lines():
        normalised = tokenizer.normalizer.normalize_str(line)
        words = len(tokenizer.pre_tokenizer.pre_tokenize_str(normalised))
        ids = tokenizer.encode(line, add_special_tokens=False).ids
        yield ids, words, hashlib.sha256(normalised.encode()).hexdigest()[:16]


def golden(path, configs):
    text = path.read_text()
    vocabulary = {token: at for at, token in enumerate(text.rstrip("\n").split("\n"))}
    found = []
    for config in configs:
        rows = list(encode(vocabulary, config))
        found.append({
            "clean": config[0], "split_cjk": config[1], "lower": config[2], "strip_accents": config[3],
            "max_chars_per_word": config[4],
            "ids": [ids for ids, _, _ in rows],
            "words": [words for _, words, _ in rows],
            "normalised": [digest for _, _, digest in rows],
        })  # fmt: skip
    return {
        "tokenizers": tokenizers.__version__,
        "vocabulary_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "unknown": vocabulary["[UNK]"],
        "configs": found,
    }


def write(name, value):
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    (HERE / name).write_text(text.replace("],[", "],\n[") + "\n")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--train", action="store_true")
    arguments.add_argument("--bert", type=Path)
    arguments = arguments.parse_args()
    if arguments.train:
        train()
    (HERE / "corpus.json").write_text(json.dumps(lines(), indent=0) + "\n")
    write("ids.json", golden(HERE / "vocab.txt", CONFIGS))
    if arguments.bert:
        write("ids_bert.json", golden(arguments.bert, CONFIGS[:2]))


if __name__ == "__main__":
    main()
