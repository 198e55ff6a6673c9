"""Token windows of texts, read from `limbic preprocess`, and batches of them."""

import csv
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent


def limbic_binary(given=None):
    """The binary that prepares the tensors: the option, LIMBIC_BIN, or the workspace's build."""
    return given or os.environ.get("LIMBIC_BIN") or HERE.parents[1] / "target" / "release" / "limbic"


def windows_of(items, limbic, cache, bundle=HERE / "model.toml"):
    """For every item the list of its windows, each an int64 array of ids with CLS and SEP.

    The result of a run is kept in the folder `cache`, under a digest of the texts, the manifest
    and the vocabulary.
    """
    vocabulary = bundle.with_name("vocab.txt").read_bytes()
    key = hashlib.sha256(bundle.read_bytes() + vocabulary)
    key.update(json.dumps([item.text for item in items]).encode())
    kept = Path(cache) / f"{key.hexdigest()[:24]}.npz"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            table, made = Path(folder) / "texts.csv", Path(folder) / "texts.npz"
            with open(table, "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(["label", "input"])
                writer.writerows(["unused", item.text] for item in items)
            subprocess.run(
                [limbic, "preprocess", "--bundle", bundle, "--data", table, "-o", made], check=True
            )
            os.replace(made, kept)
    with np.load(kept) as arrays:
        ids, mask, row = arrays["token_ids"], arrays["attention_mask"], arrays["row"]
    windows = [[] for _ in items]
    for of, line, length in zip(row, ids, mask.sum(1)):
        windows[of].append(line[:length].copy())
    empty = [i for i, of in enumerate(windows) if not of]
    if empty:
        sys.exit(f"{len(empty)} texts gave no tokens, the first of them in row {empty[0]}")
    return windows


def text_tokens(window):
    """The weight of a window in the mean of the logits: its tokens without CLS and SEP."""
    return max(len(window) - 2, 1)


def stack(rows):
    """Rows of ids as a [batch, longest] tensor and its mask, or None where nothing is padded."""
    longest = max(len(row) for row in rows)
    ids = np.zeros((len(rows), longest), np.int64)
    mask = np.zeros((len(rows), longest), np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    if mask.all():
        return torch.from_numpy(ids), None
    return torch.from_numpy(ids), torch.from_numpy(mask)


def batches(sizes, tokens, draw=None):
    """Index lists of about `tokens` tokens each, of rows of similar size; shuffled by `draw`.

    `sizes` holds each row's number of tokens.
    """
    order = list(range(len(sizes)))
    if draw:
        draw.shuffle(order)
    order.sort(key=lambda i: sizes[i])
    made, current, longest = [], [], 0
    for i in order:
        longest = max(longest, sizes[i])
        if current and longest * (len(current) + 1) > tokens:
            made.append(current)
            current, longest = [], sizes[i]
        current.append(i)
    if current:
        made.append(current)
    if draw:
        draw.shuffle(made)
    return made


def choose_windows(windows, most, draw: random.Random):
    """At most `most` windows of a text, in their order."""
    if len(windows) <= most:
        return windows
    return [windows[i] for i in sorted(draw.sample(range(len(windows)), most))]


def pooled_logits(model, documents):
    """Logits [documents, labels] of every head: the mean over windows, weighted by text tokens.

    Full windows and last windows run apart, so that hardly anything is padded.
    """
    flat = [(of, window) for of, windows in enumerate(documents) for window in windows]
    longest = max(len(window) for _, window in flat)
    groups = [
        [pair for pair in flat if len(pair[1]) == longest],
        [pair for pair in flat if len(pair[1]) < longest],
    ]
    parts, owners, weights = [], [], []
    for group in filter(None, groups):
        parts.append([out.float() for out in model(*stack([w for _, w in group]))])
        owners += [of for of, _ in group]
        weights += [float(text_tokens(w)) for _, w in group]
    owners, weights = torch.tensor(owners), torch.tensor(weights)
    total = torch.zeros(len(documents)).index_add_(0, owners, weights)
    pooled = []
    for head in zip(*parts):
        logits = torch.cat(head) * weights[:, None]
        sums = torch.zeros(len(documents), logits.shape[1]).index_add_(0, owners, logits)
        pooled.append(sums / total[:, None])
    return pooled


@torch.no_grad()
def predict(model, documents, tokens=8192, exact=False):
    """Pooled logits of every head for all documents, in their order.

    `exact` computes in float32, as limbic does; without it the products are bfloat16.
    """
    model.eval()
    rows = None
    for chosen in batches([sum(len(w) for w in d) for d in documents], tokens):
        with torch.autocast("cpu", torch.bfloat16, enabled=not exact):
            outputs = pooled_logits(model, [documents[i] for i in chosen])
        if rows is None:
            rows = [torch.zeros(len(documents), out.shape[1]) for out in outputs]
        for whole, out in zip(rows, outputs):
            whole[chosen] = out
    return rows
