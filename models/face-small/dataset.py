"""Where the pictures and labels come from, and how they become tensors through `limbic preprocess`."""

import csv
import gzip
import hashlib
import importlib.util
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

import scenes

EMOTIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
VOTES = (*EMOTIONS, "unknown", "not_a_face")
CELL, PER_ROW, PER_SHEET = 48, 32, 1024
# Photographs without a person that Python packages carry. The second group never trains.
TRAIN_PICTURES = {
    "sklearn": ("datasets/images/china.jpg",),
    "skimage": tuple(
        f"data/{name}"
        for name in (
            "brick.png clock_motion.png coffee.png coins.png grass.png ihc.png "
            "motorcycle_left.png page.png retina.jpg rocket.jpg"
        ).split()
    ),
}
TEST_PICTURES = {
    "sklearn": ("datasets/images/flower.jpg",),
    "skimage": tuple(
        f"data/{name}"
        for name in (
            "cell.png color.png gravel.png horse.png hubble_deep_field.jpg moon.png phantom.png text.png"
        ).split()
    ),
}


@dataclass
class Item:
    """One picture: its file, the region in it, a label distribution, and what tells duplicates."""

    path: str
    region: str
    label: str = ""
    target: np.ndarray | None = None
    digest: str = ""
    votes: tuple = field(default=(), repr=False)


def sha256_file(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def majority(votes):
    """The label with most votes, or None for a tie, `unknown` and `not_a_face`."""
    best = max(votes)
    if votes.count(best) > 1 or votes.index(best) >= len(EMOTIONS):
        return None
    return EMOTIONS[votes.index(best)]


def vote_distribution(votes):
    """Shares of the eight emotions, leaving single votes out where anything else is left."""
    counts = np.array(votes[: len(EMOTIONS)], np.float64)
    strong = np.where(counts > 1, counts, 0)
    counts = strong if strong.sum() > 0 else counts
    return (counts / counts.sum()).astype(np.float32)


def read_ferplus(shared, split):
    """All pictures of a FER+ split in order, with votes and the digest of their pixels."""
    folder = Path(shared) / "data" / "faces" / f"ferplus_{split}"
    with gzip.open(folder / "votes.csv.gz", "rt", encoding="utf-8", newline="") as file:
        votes = [tuple(int(row[name]) for name in VOTES) for row in csv.DictReader(file)]
    items, sheet = [], None
    for i, counts in enumerate(votes):
        number, cell = divmod(i, PER_SHEET)
        path = folder / f"sheet_{number:02}.png"
        if cell == 0:
            sheet = np.asarray(Image.open(path).convert("L"))
        x, y = cell % PER_ROW * CELL, cell // PER_ROW * CELL
        pixels = np.ascontiguousarray(sheet[y : y + CELL, x : x + CELL])
        items.append(
            Item(
                path=str(path),
                region=f"{x},{y},{CELL},{CELL}",
                label=majority(counts) or "",
                digest=hashlib.sha256(pixels.tobytes()).hexdigest(),
                votes=counts,
            )
        )
    return items


def without_duplicates(items, banned=frozenset()):
    """The first of each digest, and none whose digest is banned."""
    seen, kept = set(banned), []
    for item in items:
        if item.digest not in seen:
            seen.add(item.digest)
            kept.append(item)
    return kept


def ferplus(shared):
    """Training faces with vote distributions, pictures voted not to be a face, valid faces."""
    valid = without_duplicates(read_ferplus(shared, "valid"))
    train = without_duplicates(read_ferplus(shared, "train"), {item.digest for item in valid})
    faces, others = [], []
    for item in train:
        best = VOTES[item.votes.index(max(item.votes))]
        if best == "not_a_face":
            others.append(item)
        elif best != "unknown" and sum(item.votes[: len(EMOTIONS)]) > 0:
            item.target = vote_distribution(item.votes)
            faces.append(item)
    return faces, others, [item for item in valid if item.label]


def read_csv(path):
    """A user's own labels in the form `limbic eval` reads; labels in order of first appearance."""
    folder, labels, items = Path(path).parent, [], []
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            names = [name for name in row["label"].split("|") if name]
            labels += [name for name in names if name not in labels]
            source = str((folder / row["input"]).resolve())
            region = row.get("region") or "whole"
            digest = hashlib.sha256(f"{sha256_file(source)} {region}".encode()).hexdigest()
            items.append(Item(source, region, "|".join(names), digest=digest))
    return labels, [item for item in items if item.label]


def set_targets(items, labels):
    """Spread each item's labels evenly over the label list; an unknown label is an error."""
    for item in items:
        item.target = np.zeros(len(labels), np.float32)
        for name in item.label.split("|"):
            if name not in labels:
                raise SystemExit(f"{item.path}: label {name!r} is not among {', '.join(labels)}")
            item.target[labels.index(name)] = 1
        item.target /= item.target.sum()


def held_out(item):
    """Whether the item belongs to the tenth that chooses epoch, threshold and temperature."""
    return int(item.digest[:8], 16) % 10 == 0


def package_file(package, name):
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise SystemExit(f"{package} is not installed: pip install -r requirements.txt")
    return str(Path(spec.submodule_search_locations[0]) / name)


def photograph_regions(pictures, count, rng):
    """The whole of each photograph and random regions of it, from a seventh of its side upwards."""
    items = []
    for package, names in pictures.items():
        for name in names:
            path = package_file(package, name)
            with Image.open(path) as image:
                width, height = image.size
            items.append(Item(path, "whole"))
            for _ in range(count):
                side = min(width, height) * np.exp(rng.uniform(np.log(1 / 7), 0))
                w = int(max(16, min(width, side * np.exp(rng.uniform(-0.3, 0.3)))))
                h = int(max(16, min(height, side * np.exp(rng.uniform(-0.3, 0.3)))))
                x, y = rng.integers(0, width - w + 1), rng.integers(0, height - h + 1)
                items.append(Item(path, f"{x},{y},{w},{h}"))
    return items


def scene_items(folder, first_seed, count, per_sheet=1024):
    """Drawn scenes as sheets under `folder`, drawn once for each state of the code that draws them."""
    folder, code = Path(folder), sha256_file(scenes.__file__)[:8]
    folder.mkdir(parents=True, exist_ok=True)
    items = []
    for start in range(first_seed, first_seed + count, per_sheet):
        path = folder / f"scenes_{start}_{code}.png"
        seeds = range(start, min(start + per_sheet, first_seed + count))
        if not path.exists():
            scenes.write_sheet(path, seeds)
        items += [Item(str(path), region) for region in scenes.regions(len(seeds))]
    return items


def write_csv(items, path):
    """The items as a CSV of the form that `limbic preprocess` and `limbic eval` read."""
    folder = Path(path).parent.resolve()
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("label", "input", "region"))
        for item in items:
            writer.writerow((item.label, os.path.relpath(item.path, folder), item.region))


def preprocess(limbic, model, items, out, name):
    """The tensors that `limbic preprocess` makes of the items: f32 [N,1,48,48]."""
    table, tensors = Path(out) / f"{name}.csv", Path(out) / f"{name}.npz"
    write_csv(items, table)
    command = [limbic, "preprocess", "--bundle", model, "--data", table, "-o", tensors]
    try:
        subprocess.run([str(part) for part in command], check=True)
    except FileNotFoundError:
        raise SystemExit(f"{limbic}: not found; build it with `cargo build --release -p limbic-cli`") from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{table}: limbic preprocess ended with {error.returncode}; see its message above") from None
    with np.load(tensors) as file:
        pixels, rows = file["pixels"], file["row"]
    if not np.array_equal(rows, np.arange(len(items))):
        raise SystemExit(f"{table}: {len(items)} rows gave {len(rows)} tensors")
    return pixels


def digests(paths):
    """SHA-256 of each file once, by its name."""
    return {Path(path).name: sha256_file(path) for path in sorted(set(map(str, paths)))}
