"""Numbers of a network on recordings it was not trained on."""

import numpy as np
import torch
from torch.nn import functional as F


def held_out(items, labels, features, owner):
    """What the measures need: windows, the item of each, and the items' label indices.

    Items that gave no window (too short) are left out of the logits' fit, and counted.
    """
    target = torch.tensor([labels.index(item.label) for item in items])
    return {"features": features, "owner": torch.from_numpy(owner), "target": target}


def item_logits(network, data):
    """Mean of the window logits of each item, `[items, labels]`; NaN where an item has no window."""
    network.eval()
    with torch.no_grad():
        parts = [
            network(part.float().contiguous(memory_format=torch.channels_last))
            for part in data["features"].split(64)
        ]
    logits = torch.cat(parts).double()
    sums = torch.zeros(len(data["target"]), logits.shape[1], dtype=torch.float64)
    sums.index_add_(0, data["owner"], logits)
    counts = torch.bincount(data["owner"], minlength=len(data["target"]))
    return sums / counts[:, None]


def answered(logits, target):
    """The items that have an answer."""
    known = ~logits.isnan().any(1)
    return logits[known], target[known]


def fit_temperature(logits, target):
    """The temperature with the least negative log-likelihood, by a search over a fine grid."""
    logits, target = answered(logits, target)
    grid = np.exp(np.linspace(np.log(0.2), np.log(5.0), 801))
    losses = [F.cross_entropy(logits / float(t), target).item() for t in grid]
    return round(float(grid[int(np.argmin(losses))]), 4)


def recalls(logits, target):
    """Recall of each label that occurs; an item without an answer counts as wrong."""
    predicted = torch.where(logits.isnan().any(1), -1, logits.nan_to_num(0.0).argmax(1))
    return {
        int(label): float((predicted[target == label] == label).double().mean())
        for label in target.unique()
    }


def scores(logits, target):
    """Unweighted average recall, and negative log-likelihood at the best temperature."""
    known, truth = answered(logits, target)
    temperature = fit_temperature(logits, target)
    return {
        "unweighted_average_recall": float(np.mean(list(recalls(logits, target).values()))),
        "nll": F.cross_entropy(known / temperature, truth).item(),
    }


def calibration_error(probabilities, target, bins=15):
    """Expected calibration error of the top label over equal-width bins of confidence."""
    confidence, predicted = probabilities.max(1)
    place = (confidence * bins).long().clamp(max=bins - 1)
    error = 0.0
    for index in range(bins):
        inside = place == index
        if inside.any():
            right = (predicted[inside] == target[inside]).double().mean()
            error += inside.double().mean() * abs(right - confidence[inside].mean())
    return float(error)


def interval(logits, target, draws=1000, seed=1):
    """95 % bootstrap interval of the unweighted average recall, over items."""
    random = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        chosen = torch.from_numpy(random.integers(len(target), size=len(target)))
        values.append(np.mean(list(recalls(logits[chosen], target[chosen]).values())))
    return [float(value) for value in np.percentile(values, [2.5, 97.5])]


def report(logits, target, labels, temperature):
    """All numbers of one set, and its confusion matrix (rows: truth)."""
    each = recalls(logits, target)
    known, truth = answered(logits, target)
    probabilities = torch.softmax(known / temperature, 1)
    confusion = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(confusion, (truth.numpy(), known.argmax(1).numpy()), 1)
    return {
        "n": len(target),
        "no_answer": len(target) - len(truth),
        "accuracy": float((known.argmax(1) == truth).sum() / len(target)),
        "unweighted_average_recall": float(np.mean(list(each.values()))),
        "interval": interval(logits, target),
        "nll": F.cross_entropy(known / temperature, truth).item(),
        "expected_calibration_error": calibration_error(probabilities, truth),
        "recall": {labels[label]: value for label, value in each.items()},
        "confusion": confusion.tolist(),
    }
