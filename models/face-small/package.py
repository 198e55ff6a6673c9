"""The folder that `limbic pack` turns into a bundle: model.toml, card and licence beside the graph."""

import json
import shutil
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The seven emotions of the common space, with FER+'s word for joy, and the valence each implies.
COMMON = {
    "anger": ("anger", "negative"),
    "disgust": ("disgust", "negative"),
    "fear": ("fear", "negative"),
    "joy": ("joy", "positive"),
    "happiness": ("joy", "positive"),
    "sadness": ("sadness", "negative"),
    "surprise": ("surprise", "unmapped"),
    "neutral": ("neutral", "neutral"),
}


def label_space(labels):
    """The TOML of a label space for a user's labels; names without a counterpart stay unmapped."""
    lines = ["[[label_spaces]]", 'id = "own"', 'source = "the data given to train.py"', 'labelling = "exclusive"', "exhaustive = true"]
    for name in labels:
        emotion, valence = COMMON.get(name.lower(), ("unmapped", "unmapped"))
        lines += [
            "",
            "[[label_spaces.labels]]",
            f"label = {json.dumps(name)}",
            f"emotions = {{ {emotion} = 1.0 }}",
            f"valence = {{ {valence} = 1.0 }}",
        ]
    return "\n".join(lines) + "\n"


def replace_once(text, old, new):
    if text.count(old) != 1:
        raise SystemExit(f"model.toml: expected exactly one `{old}`, found {text.count(old)}")
    return text.replace(old, new)


def manifest(threshold, labels=None):
    """model.toml with the face threshold just chosen and, where given, a user's labels."""
    text = (HERE / "model.toml").read_text()
    line = next(line for line in text.splitlines() if line.startswith("min_probability"))
    text = replace_once(text, line, f"min_probability = {threshold:.6f}")
    if labels:
        text = replace_once(text, "dims = [1, 8]", f"dims = [1, {len(labels)}]")
        text = replace_once(text, 'label_space = "ferplus8"', 'label_space = "own"')
        text = replace_once(text, "LicenseRef-Limbic-Research-Weights", "LicenseRef-Own")
        text += "\n" + label_space(labels)
    return text


def write(out, threshold, labels=None):
    """Write model.toml, card.md and LICENSE into `out`; `labels` only for a user's own data."""
    (out / "model.toml").write_text(manifest(threshold, labels))
    if not labels:
        for name in ("card.md", "LICENSE"):
            shutil.copyfile(HERE / name, out / name)
        return
    (out / "LICENSE").write_text("The weights stand under the terms of the data they were trained on.\nState them here before passing the bundle on.\n")
    (out / "card.md").write_text(
        "# A face model of your own\n\nTrained with `models/face-small/train.py --data`. Measured numbers: `metrics.json`.\n"
        "State here whom the pictures show, who labelled them, and what the model is for.\n"
    )
