"""Writes golden.npz for `limbic convert --golden`: what PyTorch answers with a model's checkpoint.

    python models/golden_tensors.py face-small models/face-small/build/checkpoint.pt --state best -o golden.npz
    python models/golden_tensors.py speech-small models/speech-small/build/weights.pt -o golden.npz
    python models/golden_tensors.py text-small models/text-small/build/labels.pt --state best.model -o golden.npz

The inputs are random: what is compared is arithmetic, and the tensors of real ones would be data.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
SAMPLES = 8


def face(state, rng):
    from network import FaceNet, fold_batchnorm

    grown = any(name.startswith("added.") for name in state)
    model = FaceNet(state["emotion.weight"].shape[0], grown=grown)
    if "features.0.1.running_mean" not in state:
        model = fold_batchnorm(model)
    model.load_state_dict(state)
    model.mirrored = True
    return model, {"pixels": rng.normal(size=(SAMPLES, 1, 48, 48)).astype(np.float32)}, ["emotion_logits", "face_logit"]


def speech(state, rng):
    import export
    import network

    model = network.build(state["members.0.classify.weight"].shape[0])
    if "members.0.stages.0.1.running_mean" not in state:
        model = export.fold(model)
    model.load_state_dict(state)
    shape = (SAMPLES, 1, network.FRAMES, network.MELS)
    return model, {"features": rng.normal(size=shape).astype(np.float32)}, ["emotion_logits"]


def text(state, rng):
    from model import Shape, TextModel

    heads = {
        name.split(".")[1]: value.shape[0] for name, value in state.items() if name.endswith(".logits.bias")
    }
    model = TextModel(Shape(vocabulary=state["encoder.words.weight"].shape[0]), heads)
    model.load_state_dict(state)
    length = 32
    ids = rng.integers(0, state["encoder.words.weight"].shape[0], (SAMPLES, length))
    mask = np.arange(length)[None] < rng.integers(3, length + 1, (SAMPLES, 1))
    return model, {"token_ids": ids, "attention_mask": mask.astype(np.int64)}, [f"{head}_logits" for head in heads]


MODELS = {"face-small": face, "speech-small": speech, "text-small": text}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--state", default="", help="where the state dict stands in the checkpoint, parted by dots")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    sys.path.insert(0, str(HERE / options.model))
    state = torch.load(options.checkpoint, map_location="cpu", weights_only=True)
    for key in filter(None, options.state.split(".")):
        state = state[key]
    torch.set_num_threads(1)
    model, given, names = MODELS[options.model](state, np.random.default_rng(1))
    with torch.no_grad():
        # One at a time, as the graph runs: a batch may be summed in another order.
        rows = [
            model.eval()(*(torch.from_numpy(array[i : i + 1]) for array in given.values())) for i in range(SAMPLES)
        ]
    rows = [row if isinstance(row, tuple) else (row,) for row in rows]
    wanted = {name: np.concatenate([row[i].numpy() for row in rows]) for i, name in enumerate(names)}
    np.savez(options.out, **given, **wanted)


if __name__ == "__main__":
    main()
