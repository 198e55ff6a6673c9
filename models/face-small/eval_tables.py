"""Write the tables that `limbic eval` reads: FER+ valid, the sample pictures and the larger photographs."""

import argparse
import csv
import os
from pathlib import Path

import dataset


def tables(shared):
    """Name and items of each table."""
    faces = Path(shared) / "data" / "faces"
    yield "valid", dataset.ferplus(shared)[2]
    samples = []
    for path in sorted((faces / "samples").glob("*.png")):
        label = next((name for name in dataset.EMOTIONS if name in path.stem), None)
        if label:
            samples.append(dataset.Item(str(path), "whole", label))
    yield "samples", samples
    with open(faces / "photos" / "labels.csv", encoding="utf-8", newline="") as file:
        yield (
            "photos",
            [dataset.Item(str(faces / "photos" / row["file"]), "whole", row["emotion"]) for row in csv.DictReader(file)],
        )


def main():
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", default=os.environ.get("LIMBIC_SHARED", here.parents[1].parent / "shared"))
    parser.add_argument("--out", default=here / "build", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, items in tables(args.shared):
        dataset.write_csv(items, args.out / f"{name}.csv")
        print(f"{len(items)} pictures in {args.out / name}.csv")


if __name__ == "__main__":
    main()
