"""Calibration on the tenth, and the numbers that `limbic eval` makes again from the bundle."""

import numpy as np
import torch
import torch.nn.functional as F

from data import multi_hot
from tensors import predict


def top_accuracy(logits, wanted):
    """Share of rows whose largest logit is the label."""
    return float((logits.argmax(1) == wanted.argmax(1)).float().mean())


def best_thresholds(probabilities, wanted):
    """For every label the threshold of the highest F1, midway between the scores it parts."""
    found = []
    for p, y in zip(probabilities.T.double().numpy(), wanted.T.numpy()):
        order = np.argsort(-p, kind="stable")
        hits = np.cumsum(y[order])
        f1 = 2 * hits / (np.arange(1, len(p) + 1) + y.sum())
        smooth = np.convolve(np.pad(f1, 25, mode="edge"), np.ones(51) / 51, mode="valid")
        at = int(smooth.argmax())
        below = p[order[min(at + 1, len(p) - 1)]]
        found.append(float((p[order[at]] + below) / 2))
    return found


def selected(probabilities, thresholds):
    """The labels at or above their thresholds, else the one nearest to its own, as [rows, labels].

    This is the rule by which limbic reads a multi-label head.
    """
    ratio = probabilities.double() / torch.tensor(thresholds, dtype=torch.float64)
    said = ratio >= 1.0
    nearest = F.one_hot(ratio.argmax(1), ratio.shape[1]).bool()
    return torch.where(said.any(1, keepdim=True), said, nearest)


def macro_f1(logits, wanted, thresholds=None):
    """Mean of the labels' F1; without thresholds, at the best ones for these very rows."""
    probabilities = logits.sigmoid()
    said = selected(probabilities, thresholds or best_thresholds(probabilities, wanted))
    hits = (said & wanted.bool()).sum(0)
    return float((2 * hits / (said.sum(0) + wanted.sum(0)).clamp(min=1)).mean())


def fit_temperature(loss_at):
    """The temperature between 0.25 and 4 with the lowest loss."""
    candidates = torch.logspace(-2, 2, 401, base=2).tolist()
    return min(candidates, key=loss_at)


def loss_of(kind, logits, wanted):
    if kind == "multi_label":
        return F.binary_cross_entropy_with_logits(logits, wanted)
    return F.cross_entropy(logits, wanted.argmax(1))


def calibrate(model, heads, parts, multi_label=("emotion",)):
    """Temperatures and thresholds of all heads, from held-out `parts`, which weigh the same.

    `parts` is {name: (head, items, windows)}; the result is what calibration.json holds.
    """
    order = list(heads)
    found = {}
    for head in order:
        kind = "multi_label" if head in multi_label else "softmax"
        sets = []
        for of, items, windows in parts.values():
            if of == head:
                wanted = multi_hot([item.labels for item in items], len(heads[head]))
                sets.append((predict(model, windows)[order.index(head)], wanted))
        temperature = fit_temperature(lambda t: sum(float(loss_of(kind, z / t, y)) for z, y in sets))
        found[head] = {"temperature": round(temperature, 4), "abstain_below": 0.0}
        if kind == "multi_label":
            scores = torch.cat([(z / found[head]["temperature"]).sigmoid() for z, _ in sets])
            thresholds = best_thresholds(scores, torch.cat([y for _, y in sets]))
            found[head]["thresholds"] = [round(t, 4) for t in thresholds]
    return {"heads": found}


def measure(model, heads, calibration, parts, multi_label=("emotion",)):
    """Accuracy of softmax heads and macro F1 of multi-label ones, for each part."""
    order, found = list(heads), {}
    for name, (head, items, windows) in parts.items():
        settings = calibration["heads"][head]
        wanted = multi_hot([item.labels for item in items], len(heads[head]))
        logits = predict(model, windows, exact=True)[order.index(head)] / settings["temperature"]
        record = {"head": head, "n": len(items)}
        if head in multi_label:
            record["macro_f1"] = macro_f1(logits, wanted, settings["thresholds"])
        else:
            record["accuracy"] = top_accuracy(logits, wanted)
        found[name] = record
    return found
