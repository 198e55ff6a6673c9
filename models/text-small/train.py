"""The recipe of text-small: from the corpora under ../shared/data to graph.onnx and its numbers.

    python train.py --shared ../shared                   the model as it is shipped
    python train.py --data F.csv --valid G.csv --out DIR  the same encoder with a head for own labels

Stages, each resumed from its last epoch: MiniLM learns the labels (teacher.pt); the student, cut
from MiniLM, learns its hidden states (student.pt); the student learns the labels (labels.pt).
Epoch, temperature and thresholds come from a tenth of the training data; the validation sets are
read once, at the end.
"""

import argparse
import json
import platform
import random
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import own_labels
from data import EKMAN, SENTIMENT, Corpora, multi_hot, sentences_of, shared_folder
from distil import fit_teacher, imitate, new_student
from export import export_graph, rounded_to_half
from measure import calibrate, macro_f1, measure, top_accuracy
from tensors import (
    HERE,
    batches,
    choose_windows,
    limbic_binary,
    pooled_logits,
    predict,
    stack,
    windows_of,
)
from training import fit, name_of, save_atomically

HEADS = {"sentiment": SENTIMENT, "emotion": EKMAN}
# What the student imitates the teacher on, beside all phrases: sentences of reviews, and every n-th
# emotion text.
SENTENCES = 15000
EMOTION_STEP = 2
# Share of the reviews that an epoch sees, and the windows drawn of each as an estimate of the mean
# over all: one window of many reviews first, in the last epoch more windows of fewer reviews.
FIRST_REVIEWS, LAST_REVIEWS = (0.75, 1), (0.5, 2)
# Share of the teacher's answer in the target, beside the label.
SOFT_PHRASES, SOFT_EMOTIONS = 0.5, 0.3


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=shared_folder())
    parser.add_argument("--data", type=Path, help="own labels: CSV with columns label, input")
    parser.add_argument("--valid", type=Path, help="measured at the end; only with --data")
    parser.add_argument("--out", type=Path, default=HERE / "build")
    parser.add_argument("--limbic", type=Path, help="the limbic binary that prepares the tensors")
    parser.add_argument("--epochs", type=int, help="of the last stage: 2, or 8 with --data")
    parser.add_argument("--teacher-epochs", type=int, default=2)
    parser.add_argument("--imitation-epochs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def soft_sentiment(logits, wanted):
    return F.cross_entropy(logits, wanted.softmax(1))


def emotion_loss(logits, wanted):
    return logits.shape[1] * F.binary_cross_entropy_with_logits(logits, wanted)


class LabelSteps:
    """The batches and losses of the last stage."""

    def __init__(self, corpora, sentences, windows, soft, epochs):
        self.items = {
            "reviews": corpora.imdb,
            "phrases": corpora.sst2,
            "emotions": corpora.emotions,
            "sentences": sentences,
        }
        self.windows, self.soft, self.epochs = windows, soft, epochs

    def epoch(self, epoch, draw):
        steps = []
        reviews, most = LAST_REVIEWS if epoch == self.epochs - 1 else FIRST_REVIEWS
        for part, share, tokens in (
            ("reviews", reviews, 4096),
            ("phrases", 2.0, 1024),
            ("emotions", 1.0, 2048),
            ("sentences", 0.5, 2048),
        ):
            count = len(self.items[part])
            rows = list(range(count)) * int(share) + draw.sample(range(count), int(share % 1 * count))
            chosen = [choose_windows(self.windows[part][i], most, draw) for i in rows]
            sizes = [sum(len(window) for window in of) for of in chosen]
            for batch in batches(sizes, tokens, draw):
                steps.append((part, [rows[i] for i in batch], [chosen[i] for i in batch]))
        draw.shuffle(steps)
        return steps

    def loss(self, model, step):
        part, rows, documents = step
        sentiment, emotion = pooled_logits(model, documents)
        labels = [self.items[part][i].labels for i in rows]
        if part == "reviews":
            return F.cross_entropy(sentiment, torch.tensor([of[0] for of in labels]))
        soft = {head: logits[rows] for head, logits in self.soft[part].items()}
        if part == "phrases":
            hard = F.cross_entropy(sentiment, torch.tensor([of[0] for of in labels]))
            asked = soft_sentiment(sentiment, soft["sentiment"])
            return SOFT_PHRASES * asked + (1 - SOFT_PHRASES) * hard
        if part == "emotions":
            hard = multi_hot(labels, len(EKMAN))
            known = ~soft["sentiment"].isnan().any(1)
            mixed = SOFT_EMOTIONS * soft["emotion"].sigmoid() + (1 - SOFT_EMOTIONS) * hard
            loss = emotion_loss(emotion, torch.where(known[:, None], mixed, hard))
            if known.any():
                loss = loss + 0.3 * soft_sentiment(sentiment[known], soft["sentiment"][known])
            return loss
        asked = soft_sentiment(sentiment, soft["sentiment"])
        return asked + 0.2 * emotion_loss(emotion, soft["emotion"].sigmoid())


def train_shared(options):
    """The shipped model: returns the model, the calibration and the metrics."""
    corpora = Corpora(options.shared, options.seed)
    print(f"items: {corpora.counts()}", file=sys.stderr)
    limbic = limbic_binary(options.limbic)

    def windows(items):
        return windows_of(items, limbic, options.out / "tensors")

    sentences = sentences_of(corpora.imdb, SENTENCES, options.seed)
    texts = {
        "reviews": corpora.imdb,
        "phrases": corpora.sst2,
        "emotions": corpora.emotions,
        "sentences": sentences,
    }
    tensors = {part: windows(items) for part, items in texts.items()}
    asked = {
        "sentences": range(len(sentences)),
        "phrases": range(len(corpora.sst2)),
        "emotions": range(0, len(corpora.emotions), EMOTION_STEP),
    }
    unlabelled = [texts[part][i] for part, rows in asked.items() for i in rows]
    unlabelled_windows = [tensors[part][i] for part, rows in asked.items() for i in rows]

    seed, out = options.seed, options.out
    run = (seed, name_of(corpora.digests()))
    teacher, teacher_history = fit_teacher(
        corpora.sst2, corpora.emotions, out / "teacher.pt", options.teacher_epochs, run
    )
    torch.manual_seed(seed)
    sizes = {head: len(labels) for head, labels in HEADS.items()}
    model = new_student(sizes, unlabelled, unlabelled_windows)
    path, epochs = out / "student.pt", options.imitation_epochs
    imitation_history, soft = imitate(
        model, teacher, unlabelled, unlabelled_windows, path, epochs, run
    )
    soft = by_part(soft, asked, {part: len(texts[part]) for part in asked})

    steps = LabelSteps(corpora, sentences, tensors, soft, options.epochs)
    tenths = {
        "imdb_tenth": ("sentiment", corpora.imdb_tenth, windows(corpora.imdb_tenth)),
        "sst2_tenth": ("sentiment", corpora.sst2_tenth, windows(corpora.sst2_tenth)),
        "goemotions_tenth": ("emotion", corpora.emotions_tenth, windows(corpora.emotions_tenth)),
    }

    def after_epoch(_epoch):
        scores = {}
        for name, (head, items, rows) in tenths.items():
            logits = predict(model, rows)[list(HEADS).index(head)]
            wanted = multi_hot([item.labels for item in items], logits.shape[1])
            of = top_accuracy if head == "sentiment" else macro_f1
            scores[name] = of(logits, wanted)
        return scores | {"score": sum(scores.values()) / len(scores)}

    model.encoder.dropout.p = 0.1
    history = fit(
        model,
        options.out / "labels.pt",
        options.epochs,
        steps.epoch,
        lambda step: steps.loss(model, step),
        3e-4,
        run,
        after_epoch,
    )
    rounded_to_half(model)
    calibration = calibrate(model, HEADS, tenths)
    final = {
        name: (head, items, windows(items)) for name, (head, items) in corpora.final().items()
    }
    metrics = {
        "measured": measure(model, HEADS, calibration, final),
        "measured_on_tenth": measure(model, HEADS, calibration, tenths),
        "items": corpora.counts(),
        "data_sha256": corpora.digests(),
        "history": {"teacher": teacher_history, "student": imitation_history, "labels": history},
    }
    return model, calibration, metrics


def by_part(soft, asked, sizes):
    """The teacher's logits, which stand in a row, as {part: {head: logits}}; NaN where not asked."""
    counts = [len(rows) for rows in asked.values()]
    split = {head: logits.split(counts) for head, logits in soft.items()}
    found = {}
    for n, (part, rows) in enumerate(asked.items()):
        found[part] = {}
        for head, logits in split.items():
            whole = torch.full((sizes[part], logits[n].shape[1]), torch.nan)
            whole[list(rows)] = logits[n]
            found[part][head] = whole
    return found


def main():
    options = arguments()
    options.epochs = options.epochs or (8 if options.data else 2)
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    random.seed(options.seed)
    np.random.seed(options.seed % 2**32)
    began = time.perf_counter()
    train = own_labels.train if options.data else train_shared
    model, calibration, metrics = train(options)
    save_atomically(model.state_dict(), options.out / "weights.pt")
    target = options.out if options.data else HERE
    metrics |= {
        "parameters": sum(p.numel() for p in model.parameters()),
        "seed": options.seed,
        "threads": options.threads,
        "cpu": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "seconds_of_this_run": round(time.perf_counter() - began, 1),
        "cpu_seconds_of_this_run": round(resource.getrusage(resource.RUSAGE_SELF).ru_utime, 1),
        "graph_sha256": export_graph(model, target / "graph.onnx"),
    }
    for name, content in (("metrics.json", metrics), ("calibration.json", calibration)):
        (target / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(metrics["measured"], indent=2))


if __name__ == "__main__":
    main()
