"""Writes the measured numbers of metrics.json into card.md, between its two markers."""

import json
from pathlib import Path

import corpus

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- numbers -->", "<!-- end of numbers -->"


def percent(value):
    return f"{100 * value:.1f} %"


def main():
    metrics = json.loads((HERE / "metrics.json").read_text())
    test, choosing = metrics["test"], metrics["choosing"]
    low, high = test["interval"]
    actors = ", ".join(corpus.TEST_ACTORS)
    lines = [
        "## Measured",
        f"{metrics['parameters']:,} parameters, {metrics['multiply_accumulates_per_window'] / 1e6:.1f} million "
        "multiply-accumulates a window, weights stored as f16.",
        "",
        "| | test | choosing |",
        "| --- | --- | --- |",
        f"| speakers | {actors} | {', '.join(corpus.CHOOSING_ACTORS)} |",
        f"| recordings | {test['n']} | {choosing['n']} |",
    ]
    for key, name in (("unweighted_average_recall", "unweighted average recall"), ("accuracy", "accuracy")):
        lines.append(f"| {name} | {percent(test[key])} | {percent(choosing[key])} |")
    lines.append(f"| 95 % interval of the recall | {percent(low)} to {percent(high)} | |")
    lines.append(
        f"| expected calibration error | {test['expected_calibration_error']:.3f} "
        f"| {choosing['expected_calibration_error']:.3f} |"
    )
    lines += ["", "Recall of each label on the test speakers:", ""]
    recall = test["recall"]
    lines.append("| " + " | ".join(recall) + " |")
    lines.append("| " + " | ".join("---" for _ in recall) + " |")
    lines.append("| " + " | ".join(percent(value) for value in recall.values()) + " |")
    lines += [
        "",
        "Chance is 12.5 %. The test numbers are those of the recipe; to make them again from the bundle, with a CSV whose",
        f"rows are the RAVDESS recordings of actors {actors} (columns `label` and `input`; `train.py` leaves it in",
        "`build/tensors/test.csv`):",
        "```",
        "limbic eval --bundle models/speech-small/speech-small.limbic --data models/speech-small/build/tensors/test.csv",
        "```",
    ]
    card = (HERE / "card.md").read_text()
    before, rest = card.split(BEGIN)
    after = rest.split(END)[1]
    text = before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + after
    (HERE / "card.md").write_text(text)


if __name__ == "__main__":
    main()
