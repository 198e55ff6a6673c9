"""Training on a user's own labelled recordings, and the bundle source that comes of it."""

import csv
import json
from pathlib import Path

import numpy as np

import corpus


def labelled_csv(path, known=None):
    """A user's own recordings: columns `label` and `input`, and `speaker` where it is known.

    Returns the items and their labels, which are `known` if given; a recording with several
    labels takes the first, since the head gives one answer.
    """
    items = []
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            label = row["label"].split("|")[0].strip()
            speaker = (row.get("speaker") or "").strip()
            items.append(corpus.Item(Path(path).parent / row["input"], label, speaker, ()))
    labels = known or sorted({item.label for item in items})
    strange = sorted({item.label for item in items} - set(labels))
    if strange or not items:
        raise SystemExit(f"{path}: labels that were not trained: {strange}" if strange else f"{path}: no rows")
    for index, item in enumerate(items):
        item.allowed = tuple(labels)
        item.speaker = item.speaker or f"recording-{index}"
    return items, labels


def choose_tenth(items, seed):
    """Splits by speaker: whole speakers, in a seeded order, until a tenth of the items is out."""
    speakers = sorted({item.speaker for item in items})
    np.random.default_rng(seed).shuffle(speakers)
    chosen, count = set(), 0
    for speaker in speakers:
        if count >= len(items) / 10:
            break
        chosen.add(speaker)
        count += sum(item.speaker == speaker for item in items)
    kept = [item for item in items if item.speaker not in chosen]
    return kept, [item for item in items if item.speaker in chosen]


def write_bundle_source(model_folder, out, labels, metrics):
    """Writes model.toml, card.md and LICENSE beside the new graph, ready for `limbic pack`.

    The labels become a label space of the bundle's own without a counterpart in the common
    space; edit its rows where a label has one.
    """
    text = (model_folder / "model.toml").read_text()
    for old, new in (
        ('name = "speech-small"', 'name = "speech-own"'),
        ("dims = [1, 8]", f"dims = [1, {len(labels)}]"),
        ('label_space = "ravdess8"', 'label_space = "own"'),
        ("in RAVDESS's eight labels", "in labels of your own"),
        ('license = "CC-BY-NC-SA-4.0"', 'license = "LicenseRef-own"'),
        (" Non-commercial, because its training data are.", ""),
    ):
        if text.count(old) != 1:
            raise ValueError(f"model.toml: expected {old!r} once")
        text = text.replace(old, new)
    unmapped = "emotions = { unmapped = 1.0 }, valence = { unmapped = 1.0 }"
    rows = ",\n".join(f"  {{ label = {json.dumps(label)}, {unmapped} }}" for label in labels)
    text += f"""
[[label_spaces]]
id = "own"
source = "labels of the training CSV"
labelling = "exclusive"
exhaustive = true
labels = [
{rows},
]
"""
    (out / "model.toml").write_text(text)
    measured = metrics.get("test", metrics["choosing"])
    (out / "card.md").write_text(
        "# speech-own\n\nTrained with the recipe of speech-small on "
        f"{metrics['recordings']['train']} recordings; labels: {', '.join(labels)}.\n"
        f"Unweighted average recall {measured['unweighted_average_recall']:.3f} "
        f"on {measured['n']} recordings{'' if 'test' in metrics else ' that also chose the epoch'}.\n"
    )
    (out / "LICENSE").write_text("State here the terms of your recordings and of these weights.\n")
