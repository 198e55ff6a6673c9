"""Writes reference.json: probabilities of real texts, from PyTorch and the HF tokenizer alone.

The weights are the f16 ones of graph.onnx; the preprocessing is not limbic's, so that the two can
be compared. A source is `FILE#LINE` under ../shared/data, lines counted from 0 with the header; its
text is the last column of an IMDB file and the first of the others, as it stands.
"""

import argparse
import hashlib
import json
import random
import tomllib
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from data import EKMAN, SENTIMENT, lines, shared_folder
from export import parameters_of_graph
from model import Shape, TextModel
from tensors import HERE

SEED = 20261122
# Texts drawn from each file, and how many of the longest, whose tail is cut, stand beside them.
DRAWN = {
    "text/sst2/dev.tsv.gz": 60,
    "text/goemotions/dev.tsv.gz": 60,
    "text/imdb_test_even.tsv.gz": 50,
}
BEYOND_ASCII, LONGEST = 20, 10


def column(source, line):
    parts = line.split("\t")
    return parts[-1] if "imdb" in source else parts[0]


def choose(folder):
    """Pairs of source and text."""
    draw, chosen = random.Random(SEED), []
    for source, count in DRAWN.items():
        first = 0 if "goemotions" in source else 1
        rows = list(enumerate(lines(folder / source)))[first:]
        picked = draw.sample(rows, count)
        if "goemotions" in source:
            rest = [row for row in rows if row not in picked]
            strange = [row for row in rest if not column(source, row[1]).isascii()]
            picked += draw.sample(strange, BEYOND_ASCII)
        if "imdb" in source:
            rest = [row for row in rows if row not in picked]
            picked += sorted(rest, key=lambda row: -len(row[1]))[:LONGEST]
        chosen += [(f"{source}#{at}", column(source, line)) for at, line in picked]
    return chosen


class Reference:
    """Text to probabilities with the tokenizer and the tensors of other people's libraries."""

    def __init__(self, graph, calibration):
        manifest = tomllib.loads((HERE / "model.toml").read_text(encoding="utf-8"))
        steps = {s["step"].split("@")[0]: s for s in manifest["inputs"][0]["steps"]}
        normalise, self.pieces, self.cut = (
            steps[name] for name in ("normalise_text", "wordpiece", "token_window")
        )
        vocabulary = (HERE / self.pieces["vocabulary"]).read_text(encoding="utf-8").split("\n")[:-1]
        self.index = {piece: i for i, piece in enumerate(vocabulary)}
        self.tokenizer = Tokenizer(
            models.WordPiece(
                self.index,
                unk_token=self.pieces["unknown"],
                max_input_chars_per_word=self.pieces["max_chars_per_word"],
                continuing_subword_prefix=self.pieces["continuation"],
            )
        )
        self.tokenizer.normalizer = normalizers.BertNormalizer(
            clean_text=normalise["clean"],
            handle_chinese_chars=normalise["split_cjk"],
            lowercase=normalise["lower"],
            strip_accents=normalise["strip_accents"],
        )
        self.tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        heads = {"sentiment": len(SENTIMENT), "emotion": len(EKMAN)}
        self.model = TextModel(Shape(vocabulary=len(vocabulary)), heads)
        self.model.load_state_dict(parameters_of_graph(graph))
        self.model.eval()
        settings = json.loads(calibration.read_text())["heads"]
        self.temperatures = [settings[head]["temperature"] for head in heads]

    @torch.no_grad()
    def __call__(self, text):
        """Probabilities of both heads, pooled over the windows by their text tokens."""
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        inner, stride = self.cut["length"] - 2, self.cut["stride"]
        count = max(1, min(self.cut["max_windows"], -(-len(ids) // stride)))
        sums, total = [0.0, 0.0], 0.0
        for k in range(count):
            part = ids[k * stride : k * stride + inner]
            window = [self.index[self.pieces["cls"]], *part, self.index[self.pieces["sep"]]]
            row = torch.tensor([window])
            for h, logits in enumerate(self.model(row, torch.ones_like(row))):
                sums[h] = sums[h] + logits[0].double() * max(len(part), 1)
            total += max(len(part), 1)
        sentiment, emotion = (s / total / t for s, t in zip(sums, self.temperatures))
        return {"sentiment": sentiment.softmax(0).tolist(), "emotion": emotion.sigmoid().tolist()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=shared_folder())
    parser.add_argument("--graph", type=Path, default=HERE / "graph.onnx")
    parser.add_argument("--calibration", type=Path, default=HERE / "calibration.json")
    parser.add_argument("-o", "--out", type=Path, default=HERE / "reference.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    answer = Reference(options.graph, options.calibration)
    items = [
        {
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "source": source,
            "set": "exact",
            "outputs": answer(text),
        }
        for source, text in choose(options.shared / "data")
    ]
    content = {
        "model": "text-small",
        "weights_sha256": hashlib.sha256(options.graph.read_bytes()).hexdigest(),
        "items": items,
    }
    options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
