"""Where the recordings are, what they are labelled, and who speaks in them."""

import csv
import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RAVDESS_LABELS = ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]
EMODB_LABELS = {
    "W": "angry",
    "E": "disgust",
    "A": "fearful",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}
# Read speech of another language: it adds voices, but should not outweigh the recordings aimed at.
EMODB_WEIGHT = 0.5
# Two men (odd) and two women (even) for each, fixed before anything was trained.
TEST_ACTORS = ["05", "06", "21", "24"]
CHOOSING_ACTORS = ["13", "18"]


@dataclass
class Item:
    """A recording; `allowed` names the labels its corpus could have given it.

    `weight` is how often it is drawn in training, relative to the others of its label.
    """

    path: Path
    label: str
    speaker: str
    allowed: tuple
    normalised_level: bool = False
    weight: float = 1.0


def ravdess(shared):
    """The RAVDESS speech files: the third field is the emotion, the last the actor."""
    items = []
    for path in sorted((Path(shared) / "speech" / "ravdess").glob("*.flac")):
        fields = path.stem.split("-")
        label = RAVDESS_LABELS[int(fields[2]) - 1]
        items.append(Item(path, label, fields[-1], tuple(RAVDESS_LABELS)))
    if not items:
        raise SystemExit(f"no RAVDESS recordings under {shared}/speech/ravdess")
    return items


def emodb(shared):
    """The EmoDB files without boredom, which has no counterpart among RAVDESS's labels."""
    items = []
    for path in sorted((Path(shared) / "speech" / "emodb").glob("*.flac")):
        label = EMODB_LABELS.get(path.stem[5])
        if label:
            allowed = tuple(sorted(EMODB_LABELS.values()))
            items.append(Item(path, label, "emodb-" + path.stem[:2], allowed, True, EMODB_WEIGHT))
    return items


def digest(items):
    """SHA-256 over the sorted SHA-256 of the recordings."""
    each = sorted(hashlib.sha256(Path(item.path).read_bytes()).hexdigest() for item in items)
    return hashlib.sha256("\n".join(each).encode()).hexdigest()


def recipe_digest(folder):
    """SHA-256 over what decides a run: the recipe's sources and the bundle's source."""
    mark = hashlib.sha256()
    for name in ("augment.py", "corpus.py", "model.toml", "network.py", "train.py"):
        mark.update((folder / name).read_bytes())
    return mark.hexdigest()


def write_csv(rows, path):
    """Writes (file, label) rows in the form `limbic eval` and `limbic preprocess` read."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "input"])
        writer.writerows([label, str(Path(name).resolve())] for name, label in rows)


def preprocess(limbic, bundle, rows, folder, name):
    """Has `limbic preprocess` turn (file, label) rows into tensors.

    Returns `features` f16 `[N, 1, frames, mels]` and the row each window came from. Tensors
    made before by the same binary from the same list and bundle source are taken again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    listing, archive = folder / f"{name}.csv", folder / f"{name}.npz"
    write_csv(rows, listing)
    mark = hashlib.sha256()
    for part in (listing, bundle, limbic):
        mark.update(Path(part).read_bytes())
    stamp = folder / f"{name}.json"
    key = {"inputs": mark.hexdigest()}
    if not (archive.exists() and stamp.exists() and json.loads(stamp.read_text()) == key):
        command = [limbic, "preprocess", "--bundle", bundle, "--data", listing, "-o", archive]
        subprocess.run([str(part) for part in command], check=True)
        stamp.write_text(json.dumps(key))
    with np.load(archive) as arrays:
        return arrays["features"].astype(np.float16), arrays["row"].astype(np.int64)
