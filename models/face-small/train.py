"""Train face-small: FER+ pictures, or a user's own labels, to graph.onnx, calibration and metrics."""

import argparse
import copy
import hashlib
import json
import math
import os
import platform
import random
import time
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import augment
import dataset
import measure
import package
from network import FaceNet, count, export_onnx, load_onnx_weights

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FACES, SCENES, PHOTOGRAPHS, SPOILED = 200, 10, 8, 14  # pictures of each kind in a batch
FIRST_TRAIN_SCENE, TRAIN_SCENES = 1_000_000, 5000
FIRST_TEST_SCENE, TEST_SCENES = 9_000_000, 1000
EMA_DECAY = 0.996
SMALL_SIDE = 36


@dataclass(frozen=True)
class Cycle:
    """A run of epochs under one learning-rate cycle."""

    share: float  # of all epochs
    grown: bool
    peak: float  # highest learning rate
    decay: float  # weight decay
    strength: float  # of the augmentation of faces
    small: float  # share of its epochs that see pictures of SMALL_SIDE, at about half the cost


# The small network learns fast from strongly varied pictures. It then underfits, so the second cycle
# deepens it and holds it back less.
CYCLES = (
    Cycle(share=0.6, grown=False, peak=0.2, decay=5e-4, strength=1.0, small=0.5),
    Cycle(share=0.4, grown=True, peak=0.12, decay=2e-4, strength=0.65, small=0.0),
)


def arguments():
    shared = os.environ.get("LIMBIC_SHARED", ROOT.parent / "shared")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", default=shared, help="folder that holds data/faces")
    parser.add_argument("--data", help="own labels instead of FER+: the CSV that `limbic eval` reads")
    parser.add_argument("--valid", help="CSV measured once at the end, with --data")
    parser.add_argument("--out", default=HERE / "build", type=Path)
    parser.add_argument("--limbic", default=os.environ.get("LIMBIC_BIN", ROOT / "target/release/limbic"))
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if args.epochs < 2:
        parser.error("--epochs: at least 2, one for each cycle")
    return args


def tensors(args, items, name):
    """Preprocessed pictures of the items, made once for each list of items."""
    stored = args.out / f"{name}.npz"
    steps = tomllib.loads((HERE / "model.toml").read_text())["inputs"]
    wanted = repr((steps, [(item.path, item.region) for item in items]))
    digest = hashlib.sha256(wanted.encode()).hexdigest()
    mark = stored.with_suffix(".items")
    if not (stored.exists() and mark.exists() and mark.read_text() == digest):
        dataset.preprocess(args.limbic, HERE / "model.toml", items, args.out, name)
        mark.write_text(digest)
    with np.load(stored) as file:
        return torch.from_numpy(file["pixels"])


def load(args):
    """Everything the run needs, by name: tensors, targets, labels and the digests of the sources."""
    if args.data:
        labels, items = dataset.read_csv(args.data)
        valid = dataset.without_duplicates(dataset.read_csv(args.valid)[1]) if args.valid else []
        faces = dataset.without_duplicates(items, {item.digest for item in valid})
        dataset.set_targets(faces, labels)
        others, sources = [], [args.data, *([args.valid] if args.valid else [])]
    else:
        labels = list(dataset.EMOTIONS)
        faces, others, valid = dataset.ferplus(args.shared)
        sources = [item.path for item in faces + valid]
        sources += [Path(args.shared) / f"data/faces/ferplus_{s}/votes.csv.gz" for s in ("train", "valid")]
    dataset.set_targets(valid, labels)
    rng = np.random.default_rng(args.seed)
    drawn = dataset.scene_items(args.out / "scenes", FIRST_TRAIN_SCENE, TRAIN_SCENES)
    photographs = dataset.photograph_regions(dataset.TRAIN_PICTURES, 200, rng)
    unseen = dataset.scene_items(args.out / "scenes", FIRST_TEST_SCENE, TEST_SCENES)
    unseen_photographs = dataset.photograph_regions(dataset.TEST_PICTURES, 60, rng)
    held = np.array([dataset.held_out(item) for item in faces])
    pixels = tensors(args, faces, "faces")
    targets = torch.from_numpy(np.stack([item.target for item in faces]))
    if held.sum() < 10 or (~held).sum() < FACES:
        raise SystemExit(f"{args.data or args.shared}: {len(faces)} different labelled pictures are too few to train on")
    judged = [i for i, item in enumerate(faces) if held[i] and item.label and "|" not in item.label]
    return {
        "labels": labels,
        "faces": pixels[~held],
        "targets": targets[~held],
        "held": pixels[held],
        "held_targets": targets[held],
        "held_judged": torch.tensor([int(held[:i].sum()) for i in judged], dtype=torch.long),
        "scenes": tensors(args, drawn + others, "drawn"),
        "photographs": tensors(args, photographs, "photographs"),
        "unseen": tensors(args, unseen, "unseen"),
        "unseen_photographs": tensors(args, unseen_photographs, "unseen_photographs"),
        "valid": tensors(args, valid, "valid") if valid else None,
        "valid_labels": np.array([labels.index(item.label) for item in valid]) if valid else None,
        "digests": dataset.digests(sources),
        "counts": {"train": int((~held).sum()), "tenth": int(held.sum()), "valid": len(valid)},
    }


def cycle_of(epoch, epochs):
    """The cycle of an epoch, the epoch's place in it and the number of its epochs."""
    first = round(CYCLES[0].share * epochs)
    if epoch < first:
        return CYCLES[0], epoch, first
    return CYCLES[1], epoch - first, epochs - first


def batches(data, generator, strength):
    """One pass over the faces: pictures, emotion targets of the faces, which come first, and their number."""
    order = torch.randperm(len(data["faces"]), generator=generator)
    for start in range(0, len(order) - FACES // 2, FACES):
        chosen = order[start : start + FACES]
        faces = data["faces"][chosen]
        pick = lambda name, n: data[name][torch.randint(len(data[name]), (n,), generator=generator)]
        pixels = torch.cat(
            [
                augment.faces(faces, generator, strength),
                augment.scenes(pick("scenes", SCENES), generator),
                augment.scenes(pick("photographs", PHOTOGRAPHS), generator),
                augment.spoiled_faces(pick("faces", SPOILED), generator),
            ]
        )
        yield pixels, data["targets"][chosen], len(faces)


def learning_rate(step, steps, peak):
    """One cycle: linear warm-up over a sixth of the run, then half a cosine down to almost zero."""
    warm = steps / 6
    if step < warm:
        return peak * (0.05 + 0.95 * step / warm)
    return peak * (0.001 + 0.999 * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm))))


@torch.no_grad()
def predict(model, pixels, batch=256):
    """Emotion logits [N,labels] and face logits [N] in f32."""
    model.eval()
    parts = [model(chunk) for chunk in pixels.split(batch)]
    return torch.cat([p[0].float() for p in parts]), torch.cat([p[1].float()[:, 0] for p in parts])


def train_epoch(model, average, optimizer, data, args, epoch):
    """One epoch; returns the mean loss."""
    generator = torch.Generator().manual_seed(args.seed * 100_003 + epoch)
    torch.manual_seed(args.seed * 100_003 + epoch)
    cycle, place, length = cycle_of(epoch, args.epochs)
    per_epoch = math.ceil((len(data["faces"]) - FACES // 2) / FACES)
    model.train()
    total = 0.0
    for i, (pixels, targets, faces) in enumerate(batches(data, generator, cycle.strength)):
        step = place * per_epoch + i
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, per_epoch * length, cycle.peak)
        if place < cycle.small * length:
            pixels = F.interpolate(pixels, SMALL_SIDE, mode="bilinear", antialias=True)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            emotion, face = model(pixels)
        is_face = (torch.arange(len(pixels)) < faces).float()
        loss = F.cross_entropy(emotion[:faces].float(), targets)
        loss = loss + 0.5 * F.binary_cross_entropy_with_logits(face[:, 0].float(), is_face)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.item()
        decay = min(EMA_DECAY, (1 + step) / (10 + step))
        with torch.no_grad():
            for kept, new in zip(average.state_dict().values(), model.state_dict().values()):
                if kept.is_floating_point():
                    kept.lerp_(new, 1 - decay)
                else:
                    kept.copy_(new)
    return total / per_epoch


def write_atomically(path, write):
    partial = path.with_name(path.name + ".partial")
    write(partial)
    os.replace(partial, path)


def optimizer_of(model, cycle):
    """SGD with Nesterov momentum; weight decay on convolution and linear weights only."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": cycle.decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=cycle.peak, momentum=0.9, nesterov=True)


def start_cycle(cycle, labels, best):
    """Network, its running average and optimizer at the start of a cycle, from the best weights before."""
    if best is None:
        model = FaceNet(labels, cycle.grown)
    else:
        before = FaceNet(labels, grown=False)
        before.load_state_dict(best)
        model = before.grow()
    model = model.to(memory_format=torch.channels_last)
    average = copy.deepcopy(model)
    return model, average, optimizer_of(model, cycle)


def fit(args, data):
    """Train with a checkpoint after each epoch; returns the best averaged model and the history."""
    checkpoint, history, best, state = args.out / "checkpoint.pt", [], None, None
    settings = {"epochs": args.epochs, "seed": args.seed, "labels": data["labels"], "digests": data["digests"]}
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        if state["settings"] != settings:
            raise SystemExit(f"{checkpoint}: from other settings or data; remove it to start again")
        history, best = state["history"], state["best"]
    judged = data["held_judged"]
    truth = data["held_targets"].argmax(1)[judged]
    held = data["held"].contiguous(memory_format=torch.channels_last)
    model = average = optimizer = None
    for epoch in range(len(history), args.epochs):
        cycle, place, _length = cycle_of(epoch, args.epochs)
        if place == 0 or model is None:
            torch.manual_seed(args.seed)
            model, average, optimizer = start_cycle(cycle, len(data["labels"]), best if cycle.grown and place == 0 else None)
        if state is not None and place > 0:
            model.load_state_dict(state["model"])
            average.load_state_dict(state["average"])
            optimizer.load_state_dict(state["optimizer"])
        state = None
        started = time.time()
        loss = train_epoch(model, average, optimizer, data, args, epoch)
        with torch.autocast("cpu", torch.bfloat16):
            emotion, face = predict(average, held)
        accuracy = (emotion[judged].argmax(1) == truth).float().mean().item()
        nll = F.cross_entropy(emotion, data["held_targets"]).item()
        history.append({"epoch": epoch + 1, "loss": loss, "tenth_accuracy": accuracy, "tenth_cross_entropy": nll, "seconds": time.time() - started})
        if accuracy >= max(h["tenth_accuracy"] for h in history[epoch - place :]):
            best = {k: v.clone() for k, v in average.state_dict().items()}
        print(f"epoch {epoch + 1}/{args.epochs}  loss {loss:.4f}  tenth accuracy {accuracy:.4f}  cross-entropy {nll:.4f}  {history[-1]['seconds']:.1f} s", flush=True)
        saved = {
            "settings": settings,
            "model": model.state_dict(),
            "average": average.state_dict(),
            "optimizer": optimizer.state_dict(),
            "history": history,
            "best": best,
        }
        write_atomically(checkpoint, lambda path: torch.save(saved, path))
    average = FaceNet(len(data["labels"]))
    average.load_state_dict(best)
    return average, history


def processor():
    """The processor's name where Linux tells it, else the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main():
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    random.seed(args.seed)
    np.random.seed(args.seed)
    started = time.time()
    data = load(args)
    print(f"{data['counts']} pictures, ready after {time.time() - started:.0f} s", flush=True)
    model, history = fit(args, data)
    write_atomically(args.out / "weights.pt", lambda path: torch.save(model.state_dict(), path))
    graph = args.out / "graph.onnx"
    export_onnx(model, graph)
    exported = load_onnx_weights(graph, len(data["labels"]))
    calibration, metrics = measure.finish(exported, data, predict)
    parameters, macs = count(exported)
    metrics.update(
        model="face-small",
        labels=data["labels"],
        pictures=data["counts"],
        parameters=parameters,
        macs=macs,
        graph_sha256=dataset.sha256_file(graph),
        settings={"epochs": args.epochs, "cycles": [asdict(cycle) for cycle in CYCLES], "seed": args.seed, "threads": args.threads},
        training_seconds=sum(h["seconds"] for h in history),
        history=history,
        data_sha256=data["digests"],
        torch=torch.__version__,
        processor=processor(),
    )
    for name, value in (("calibration.json", calibration), ("metrics.json", metrics)):
        write_atomically(args.out / name, lambda path: path.write_text(json.dumps(value, indent=1) + "\n"))
    package.write(args.out, metrics["face_threshold"], data["labels"] if args.data else None)
    print(json.dumps({k: v for k, v in metrics.items() if k not in ("history", "data_sha256")}, indent=1))
    print(f"pack it: {args.limbic} pack {args.out / 'model.toml'} -o NAME.limbic")


if __name__ == "__main__":
    main()
