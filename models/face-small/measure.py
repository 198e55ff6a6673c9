"""Temperature, face threshold and the numbers of the model card."""

import numpy as np
import torch
import torch.nn.functional as F


def fit_temperature(logits, labels):
    """The temperature in 0.25..4 that minimises the negative log-likelihood of the labels."""
    low, high = np.log(0.25), np.log(4.0)
    loss = lambda t: F.cross_entropy(logits / float(np.exp(t)), labels).item()
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(60):
        a, b = high - golden * (high - low), low + golden * (high - low)
        if loss(a) < loss(b):
            high = b
        else:
            low = a
    return float(np.exp((low + high) / 2))


def face_threshold(faces, others):
    """The face probability below which a picture is refused.

    In logits, a quarter of the way from what all but 0.5 % of the pictures without a face stay
    under to what all but 0.5 % of the held-out faces reach: faces from other cameras score lower
    than these. Never so high that more than 0.5 % of the faces are refused.
    """
    face = np.quantile(faces, 0.005)
    other = np.quantile(others, 0.995)
    logit = min(face, other + (face - other) / 4)
    return float(1 / (1 + np.exp(-logit)))


def calibration_error(probabilities, labels, bins=15):
    """Expected calibration error of the top label over equally wide bins."""
    top, right = probabilities.max(1), probabilities.argmax(1) == labels
    error = 0.0
    for low in np.linspace(0, 1, bins, endpoint=False):
        inside = (top > low) & (top <= low + 1 / bins)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - top[inside].mean())
    return float(error)


def classification(logits, labels, names, temperature, answered):
    """Accuracy and per-class numbers where a refused picture counts as wrong."""
    probabilities = F.softmax(logits / temperature, 1).numpy()
    chosen = np.where(answered, probabilities.argmax(1), -1)
    size = len(names)
    confusion = np.zeros((size, size), int)
    for label, choice in zip(labels, chosen):
        if choice >= 0:
            confusion[label, choice] += 1
    support = np.bincount(labels, minlength=size)
    hits, predicted = confusion.diagonal(), confusion.sum(0)
    recall = hits / np.maximum(support, 1)
    f1 = 2 * hits / np.maximum(support + predicted, 1)
    present = support > 0
    return {
        "n": len(labels),
        "accuracy": float((chosen == labels).mean()),
        "accuracy_without_refusal": float((probabilities.argmax(1) == labels).mean()),
        "unweighted_average_recall": float(recall[present].mean()),
        "macro_f1": float(f1[present].mean()),
        "no_answer": int((~answered).sum()),
        "expected_calibration_error": calibration_error(probabilities, labels),
        "per_class": {
            name: {"support": int(support[i]), "recall": float(recall[i]), "f1": float(f1[i])}
            for i, name in enumerate(names)
        },
        "confusion": confusion.tolist(),
    }


def finish(model, data, predict):
    """Choose temperature and threshold on the held-out tenth, then measure everything once."""
    names, judged = data["labels"], data["held_judged"]
    emotion, face = predict(model, data["held"])
    labels = data["held_targets"].argmax(1)[judged]
    temperature = fit_temperature(emotion[judged], labels)
    # Scenes and photographs that trained are used here: the threshold then depends on no test picture.
    others = torch.cat([predict(model, data[name])[1] for name in ("scenes", "photographs")])
    threshold = face_threshold(face.numpy(), others.numpy())
    answers = lambda logits: torch.sigmoid(logits).numpy() >= threshold
    calibration = {
        "heads": {
            "emotion": {"temperature": temperature, "abstain_below": 0.0},
            "face": {"temperature": 1.0, "thresholds": [threshold], "abstain_below": 0.0},
        }
    }
    metrics = {
        "temperature": temperature,
        "face_threshold": threshold,
        "tenth": classification(emotion[judged], labels.numpy(), names, temperature, answers(face[judged])),
        "taken_for_a_face": {
            name: float(answers(predict(model, data[name])[1]).mean())
            for name in ("scenes", "photographs", "unseen", "unseen_photographs")
        },
    }
    if data["valid"] is not None:
        emotion, face = predict(model, data["valid"])
        metrics["valid"] = classification(emotion, data["valid_labels"], names, temperature, answers(face))
    return calibration, metrics
