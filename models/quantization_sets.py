"""The data sets that the models' quantization is calibrated, tuned and judged on, as CSVs for `limbic quantize`.

    python models/quantization_sets.py --shared ../shared -o OUT

Every set has one use. What is judged was not used in training: SST-2's and GoEmotions' dev parts and every second review
of IMDB's test set; RAVDESS's test actors and EmoDB's boredom, which the model has no label for; FER+'s valid split, the
pictures in it that were voted not to be a face, and photographs without a person. Needs torch, numpy and Pillow.
"""

import argparse
import csv
import random
import re
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
for folder in ("face-small", "speech-small", "text-small"):
    sys.path.insert(0, str(HERE / folder))
import corpus  # noqa: E402
import data  # noqa: E402
import dataset  # noqa: E402

SEED = 7


def write(out, name, rows, columns=("label", "input")):
    with open(out / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    print(f"{name}: {len(rows)}")


class Texts:
    """Texts that differ in more than case and marks, each given out once."""

    def __init__(self, rng):
        self.rng, self.seen = rng, set()

    def parts(self, items, labels, *counts):
        rows = []
        for item in items:
            key = re.sub(r"[^a-z0-9]+", " ", item.text.lower()).strip()
            if key and key not in self.seen:
                self.seen.add(key)
                rows.append(("|".join(labels[n] for n in item.labels), item.text))
        self.rng.shuffle(rows)
        ends = np.cumsum(counts)
        return [rows[end - count : end] for count, end in zip(counts, ends)]


def text_sets(shared, out, rng):
    folder, texts = shared / "data" / "text", Texts(rng)
    sst2 = data.read_sst2(folder / "sst2" / "dev.tsv.gz")
    calib, tune, judged = texts.parts(sst2, data.SENTIMENT, 100, 300, 1500)
    write(out, "text_calib", calib)
    write(out, "sst2_tune", tune)
    write(out, "sst2_eval", judged)
    tune, judged = texts.parts(data.read_goemotions(folder / "goemotions", "dev"), data.EKMAN, 400, 1500)
    write(out, "goemotions_tune", tune)
    write(out, "goemotions_eval", judged)
    write(out, "imdb_eval", *texts.parts(data.read_imdb(folder / "imdb_test_even.tsv.gz"), data.SENTIMENT, 300))
    write(out, "imdb_tune", *texts.parts(data.read_imdb(folder / "imdb_train.tsv.gz"), data.SENTIMENT, 60))


def speech_sets(shared, out, rng):
    items = corpus.ravdess(shared / "data")
    others = corpus.TEST_ACTORS + corpus.CHOOSING_ACTORS
    train = [item for item in items if item.speaker not in others]
    rng.shuffle(train)
    for name, chosen in (
        ("speech_calib", train[:120]),
        ("speech_tune", [item for item in items if item.speaker in corpus.CHOOSING_ACTORS]),
        ("speech_eval", [item for item in items if item.speaker in corpus.TEST_ACTORS]),
    ):
        write(out, name, [(item.label, item.path) for item in chosen])
    # Two actors are few where ways to quantize differ in one answer of a hundred. These were trained on, so their labels
    # would fit a temperature for answers that are surer than those to a stranger.
    write(out, "speech_more_tune", [(item.path,) for item in train[120:420]], ("input",))
    emodb = sorted((shared / "data" / "speech" / "emodb").glob("*.flac"))
    write(out, "boredom_eval", [(path,) for path in emodb if path.stem[5] == "L"], ("input",))


def face_sets(shared, out, rng):
    columns = ("label", "input", "region")
    valid = dataset.without_duplicates(dataset.read_ferplus(shared, "valid"))
    train = dataset.without_duplicates(
        dataset.read_ferplus(shared, "train"), {item.digest for item in valid}
    )
    labelled = [item for item in train if item.label]
    tenth = [item for item in labelled if dataset.held_out(item)]
    rest = [item for item in labelled if not dataset.held_out(item)]
    rng.shuffle(tenth)
    rng.shuffle(rest)
    judged = [item for item in valid if item.label]
    rng.shuffle(judged)
    for name, items in (("face_calib", rest[:256]), ("face_tune", tenth[:1500]), ("face_eval", judged)):
        write(out, name, [(item.label, item.path, item.region) for item in items], columns)

    def no_face(items):
        best = lambda item: dataset.VOTES[item.votes.index(max(item.votes))]
        return [item for item in items if best(item) == "not_a_face"]

    places = np.random.default_rng(SEED)
    tune = no_face(train)[:60] + dataset.photograph_regions(dataset.TRAIN_PICTURES, 6, places)
    others = no_face(valid) + dataset.photograph_regions(dataset.TEST_PICTURES, 20, places)
    for name, items in (("no_face_tune", tune), ("no_face_eval", others)):
        write(out, name, [("no_face", item.path, item.region) for item in items], columns)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(SEED)
    shared = args.shared.resolve()
    text_sets(shared, args.out, rng)
    speech_sets(shared, args.out, rng)
    face_sets(shared, args.out, rng)


if __name__ == "__main__":
    main()
