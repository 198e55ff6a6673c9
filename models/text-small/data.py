"""The corpora of text-small: reading, leak-free filtering, and the tenth that choices are made on.

Every corpus becomes a list of `Item`. Nothing here depends on the model or its vocabulary.
"""

import csv
import gzip
import hashlib
import os
import random
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

SENTIMENT = ("negative", "positive")
EKMAN = ("anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral")
EKMAN_GROUPS = {
    "anger": "anger annoyance disapproval",
    "disgust": "disgust",
    "fear": "fear nervousness",
    "joy": "joy amusement approval excitement gratitude love optimism relief pride admiration"
    " desire caring",
    "sadness": "sadness disappointment embarrassment grief remorse",
    "surprise": "surprise realization confusion curiosity",
    "neutral": "neutral",
}
# Phrases shorter than this stay out of the SST-2 tenth: a single common word held out would
# bar most of the training phrases from training.
MIN_HELD_WORDS = 4


@dataclass(frozen=True)
class Item:
    """A text and its labels as indices into the head's label space."""

    text: str
    labels: tuple


def shared_folder():
    """Where the data lies: LIMBIC_SHARED, or the folder `shared` beside the workspace."""
    beside = Path(__file__).resolve().parents[3] / "shared"
    return Path(os.environ.get("LIMBIC_SHARED", beside))


def lines(path):
    """The lines of a gzipped UTF-8 file whose only line end is LF."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return [line for line in file.read().split("\n") if line]


def read_imdb(path):
    rows = [line.split("\t", 2) for line in lines(path)[1:]]
    return [Item(text, (int(label == "pos"),)) for label, _stars, text in rows]


def read_sst2(path):
    rows = [line.rsplit("\t", 1) for line in lines(path)[1:]]
    return [Item(text.strip(), (int(label),)) for text, label in rows]


def read_goemotions(folder, part):
    names = (folder / "labels.txt").read_text(encoding="utf-8").split()
    group_of = {name: EKMAN.index(g) for g, members in EKMAN_GROUPS.items() for name in members.split()}
    items = []
    for line in lines(folder / f"{part}.tsv.gz"):
        text, ids, _identifier = line.rsplit("\t", 2)
        groups = {group_of[names[int(i)]] for i in ids.split(",")}
        items.append(Item(text, tuple(sorted(groups))))
    return items


def read_table(path):
    """A user's CSV with the columns `label` (several joined by `|`) and `input`.

    Returns the items, their label names in the order of first use, and whether any row has
    several labels. An input that names a file beside the CSV is read from it.
    """
    path = Path(path)
    names, items = [], []
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            labels = [label for label in row["label"].split("|") if label]
            if not labels:
                sys.exit(f"{path}: row {len(items)} has no label")
            names += [label for label in labels if label not in names]
            text = row["input"]
            if len(text) < 256 and "\n" not in text and (path.parent / text).is_file():
                text = (path.parent / text).read_text(encoding="utf-8")
            items.append(Item(text, tuple(names.index(label) for label in labels)))
    return items, names, any(len(item.labels) != 1 for item in items)


def plain(text):
    """Lower case, every run of white space one blank: the form in which texts are compared."""
    return " ".join(text.lower().split())


def containments(needles, haystacks):
    """Every pair (i, j) with needles[i] a substring of haystacks[j].

    Needles are found by their first characters, so that each place of a haystack costs one look-up.
    """
    stem = 6
    by_stem, short = {}, []
    for i, needle in enumerate(needles):
        if len(needle) < stem:
            short.append(i)
        else:
            by_stem.setdefault(needle[:stem], []).append(i)
    for j, haystack in enumerate(haystacks):
        for at in range(len(haystack) - stem + 1):
            for i in by_stem.get(haystack[at : at + stem], ()):
                if haystack.startswith(needles[i], at):
                    yield i, j
        for i in short:
            if needles[i] in haystack:
                yield i, j


def without_overlap(items, held):
    """The items that neither contain a held item nor are contained in one, as plain substrings."""
    texts = [plain(item.text) for item in items]
    held_texts = sorted({plain(item.text) for item in held})
    barred = {j for _, j in containments(held_texts, texts)}
    barred |= {i for i, _ in containments(texts, held_texts)}
    return [item for i, item in enumerate(items) if i not in barred]


def hold_out(items, seed):
    """Splits into (rest, a tenth); equal texts stay on one side."""

    def is_held(item):
        digest = hashlib.sha256(f"{seed}:{plain(item.text)}".encode()).digest()
        return digest[0] * 256 + digest[1] < 6554

    return [i for i in items if not is_held(i)], [i for i in items if is_held(i)]


def hold_out_phrases(items, seed, share=0.1):
    """Splits phrases cut from common sentences into (rest, about a tenth), free of overlap.

    Whole sentences are drawn, each with the phrases inside it; what overlaps a held phrase is
    in neither part.
    """
    texts = [plain(item.text) for item in items]
    inside = {}
    for i, j in containments(texts, texts):
        if i != j:
            inside.setdefault(j, set()).add(i)
    whole = set(range(len(items))).difference(*inside.values())
    long_enough = {i for i in range(len(items)) if len(texts[i].split()) >= MIN_HELD_WORDS}
    sentences = sorted(whole & long_enough)
    random.Random(seed).shuffle(sentences)
    chosen = set()
    for j in sentences:
        if len(chosen) >= share * len(items):
            break
        chosen |= {j} | (inside.get(j, set()) & long_enough)
    tenth = [items[i] for i in sorted(chosen)]
    rest = [items[i] for i in range(len(items)) if i not in chosen]
    return without_overlap(rest, tenth), tenth


def sentences_of(items, count, seed, min_chars=20, max_chars=220):
    """`count` sentences drawn from longer texts, for learning from a teacher without labels."""
    draw = random.Random(seed)
    found = []
    for item in draw.sample(items, len(items)):
        text = re.sub(r"<br\s*/?>", " ", item.text)
        parts = [p.strip() for p in re.split(r"(?<=[.!?])\s+", text)]
        parts = [p for p in parts if min_chars <= len(p) <= max_chars]
        found += [Item(p, ()) for p in draw.sample(parts, min(2, len(parts)))]
        if len(found) >= count:
            break
    return found[:count]


def multi_hot(labels, size):
    """Label index tuples as a [batch, size] float tensor of 0 and 1."""
    rows = torch.zeros(len(labels), size)
    for i, of in enumerate(labels):
        rows[i, list(of)] = 1.0
    return rows


def digest(path):
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


class Corpora:
    """The shared training data, filtered and split; validation sets are read only when asked."""

    def __init__(self, shared, seed):
        text = Path(shared) / "data" / "text"
        self.paths = {
            "imdb_train": text / "imdb_train.tsv.gz",
            "imdb_test_even": text / "imdb_test_even.tsv.gz",
            "sst2_train": text / "sst2" / "train.tsv.gz",
            "sst2_dev": text / "sst2" / "dev.tsv.gz",
            "goemotions_train": text / "goemotions" / "train.tsv.gz",
            "goemotions_dev": text / "goemotions" / "dev.tsv.gz",
        }
        self.goemotions = text / "goemotions"
        self.imdb, self.imdb_tenth = hold_out(read_imdb(self.paths["imdb_train"]), seed)
        kept = without_overlap(
            read_sst2(self.paths["sst2_train"]), read_sst2(self.paths["sst2_dev"])
        )
        self.sst2, self.sst2_tenth = hold_out_phrases(kept, seed)
        emotions = read_goemotions(self.goemotions, "train")
        self.emotions, self.emotions_tenth = hold_out(emotions, seed)

    def final(self):
        """The validation sets: {name: (head, items)}; touched once, at the end."""
        return {
            "imdb_test_even": ("sentiment", read_imdb(self.paths["imdb_test_even"])),
            "sst2_dev": ("sentiment", read_sst2(self.paths["sst2_dev"])),
            "goemotions_dev": ("emotion", read_goemotions(self.goemotions, "dev")),
        }

    def digests(self):
        return {name: digest(path) for name, path in self.paths.items()}

    def counts(self):
        parts = ("imdb", "imdb_tenth", "sst2", "sst2_tenth", "emotions", "emotions_tenth")
        return {part: len(getattr(self, part)) for part in parts}
