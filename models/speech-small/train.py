"""Trains speech-small and writes its graph, calibration and metrics.

Without `--data` it trains on RAVDESS and EmoDB under `--shared`; with it, on the recordings of a
CSV in the form `limbic eval` reads (columns `label` and `input`, and `speaker` where known).
The tensors are those of `limbic preprocess`, so training and serving see the same numbers.
"""

import argparse
import json
import os
import platform
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import augment
import corpus
import export
import measure
import network
import userdata

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
COPIES = 4
GAIN_DB = 6.0
UNCHANGED = 0.35
BATCH = 32
RATE = 3e-3
WEIGHT_DECAY = 0.02
SMOOTHING = 0.1


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=os.environ.get("LIMBIC_SHARED", ROOT.parent / "shared"))
    parser.add_argument("--data", type=Path, help="CSV of your own labelled recordings")
    parser.add_argument("--valid", type=Path, help="CSV measured once, at the end; only with --data")
    parser.add_argument("--out", type=Path, default=HERE / "build")
    parser.add_argument("--limbic", type=Path, default=os.environ.get("LIMBIC_BIN", ROOT / "target/release/limbic"))
    parser.add_argument("--epochs", type=int, default=70)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def load_items(options):
    """The recordings to train on, to choose with and to test on, and the labels."""
    if options.data:
        items, labels = userdata.labelled_csv(options.data)
        test = userdata.labelled_csv(options.valid, labels)[0] if options.valid else []
        train, choosing = userdata.choose_tenth(items, options.seed)
        return train, choosing, test, labels
    shared = options.shared / "data" if (options.shared / "data").is_dir() else options.shared
    acted, german = corpus.ravdess(shared), corpus.emodb(shared)
    held_out = corpus.TEST_ACTORS + corpus.CHOOSING_ACTORS
    train = [item for item in acted if item.speaker not in held_out] + german
    choosing = [item for item in acted if item.speaker in corpus.CHOOSING_ACTORS]
    test = [item for item in acted if item.speaker in corpus.TEST_ACTORS]
    return train, choosing, test, corpus.RAVDESS_LABELS


def tensors(options, items, name, copies=0):
    """Features of the items, or of varied copies of them, and the item each window belongs to."""
    folder = options.out / "tensors"
    if copies:
        seed = options.seed
        written = augment.write_copies(items, folder / name, copies, GAIN_DB, seed)
    else:
        written = [(item.path, index) for index, item in enumerate(items)]
    rows = [(path, items[index].label) for path, index in written]
    features, row = corpus.preprocess(options.limbic, HERE / "model.toml", rows, folder, name)
    owner = np.array([index for _, index in written])[row]
    return torch.from_numpy(features), owner


class Sampler:
    """Draws items with equal weight for each label, and of each item one of its windows."""

    def __init__(self, items, labels, sources):
        self.features = [features for features, _ in sources]
        self.windows = [[[] for _ in sources] for _ in items]
        for source, (_, owner) in enumerate(sources):
            for window, item in enumerate(owner):
                self.windows[item][source].append((source, window))
        self.target = np.array([labels.index(item.label) for item in items])
        self.allowed = torch.tensor([[label in item.allowed for label in labels] for item in items])
        self.one_hot = torch.eye(len(labels))
        usable = np.array([any(windows) for windows in self.windows])
        weight = usable * np.array([item.weight for item in items])
        share = weight / np.bincount(self.target, weight, len(labels))[self.target]
        self.share = share / share.sum()

    def pick(self, item, random):
        """One window of an item, from its own recording or from a varied copy."""
        own, varied = self.windows[item]
        windows = own if own and (not varied or random.random() < UNCHANGED) else varied
        return windows[random.integers(len(windows))]

    def batches(self, random):
        """One epoch of (features, targets, allowed labels)."""
        drawn = random.choice(len(self.target), len(self.target), p=self.share)
        for start in range(0, len(drawn) - BATCH + 1, BATCH):
            chosen = drawn[start : start + BATCH]
            picks = [self.pick(item, random) for item in chosen]
            features = torch.stack([self.features[source][window] for source, window in picks])
            yield features.float(), self.one_hot[self.target[chosen]], self.allowed[chosen]


def loss_of(members, targets, allowed):
    """Mean over members of the smoothed cross-entropy among the labels the corpus could give."""
    spread = allowed.float() / allowed.sum(1, keepdim=True)
    targets = (1 - SMOOTHING) * targets + SMOOTHING * spread
    return torch.stack(
        [
            -(targets * F.log_softmax(logits.masked_fill(~allowed, -1e4), 1)).sum(1).mean()
            for logits in members
        ]
    ).mean()


def average(into, trained, keep):
    """Moves the averaged weights and statistics towards the trained ones."""
    with torch.no_grad():
        for mean, value in zip(into.state_dict().values(), trained.state_dict().values()):
            if mean.dtype.is_floating_point:
                mean.lerp_(value, 1 - keep)
            else:
                mean.copy_(value)


def save(state, path):
    """Writes a checkpoint beside its place and renames it, so that a crash leaves the old one."""
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.replace(path)


def fit(options, sampler, choosing, labels, key):
    """Trains for all epochs, resuming a checkpoint of the same run; returns the best state."""
    torch.manual_seed(options.seed)
    trained = network.build(len(labels)).to(memory_format=torch.channels_last)
    averaged = network.build(len(labels)).to(memory_format=torch.channels_last)
    averaged.load_state_dict(trained.state_dict())
    optimizer = torch.optim.AdamW(trained.parameters(), RATE, weight_decay=WEIGHT_DECAY)
    epoch_steps = len(sampler.target) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, total_steps=max(2, options.epochs * epoch_steps), pct_start=0.15
    )
    parts = {"trained": trained, "averaged": averaged, "optimizer": optimizer, "schedule": schedule}
    progress = {"key": key, "epoch": 0, "step": 0, "history": [], "best": None, "seconds": 0.0, "cpu_seconds": 0.0}
    path = options.out / "checkpoint.pt"
    if path.exists():
        stored = torch.load(path, weights_only=False)
        if stored["progress"]["key"] == key:
            progress = stored["progress"]
            for name, part in parts.items():
                part.load_state_dict(stored[name])
            print(f"resumed after epoch {progress['epoch']}", flush=True)
    while progress["epoch"] < options.epochs:
        begin, cpu = time.monotonic(), time.process_time()
        torch.manual_seed(options.seed * 1000 + progress["epoch"])
        random = np.random.default_rng([options.seed, progress["epoch"]])
        trained.train()
        total = 0.0
        for features, targets, allowed in sampler.batches(random):
            features = augment.vary_features(features)
            with torch.autocast("cpu", torch.bfloat16):
                members = trained.each(features.contiguous(memory_format=torch.channels_last))
            loss = loss_of(members.float(), targets, allowed)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            progress["step"] += 1
            average(averaged, trained, min(0.99, (1 + progress["step"]) / (10 + progress["step"])))
            total += loss.item()
        progress["epoch"] += 1
        logits = measure.item_logits(averaged, choosing)
        report = measure.scores(logits, choosing["target"])
        report |= {"epoch": progress["epoch"], "loss": total / epoch_steps}
        progress["history"].append(report)
        progress["seconds"] += time.monotonic() - begin
        progress["cpu_seconds"] += time.process_time() - cpu
        if progress["best"] is None or report["nll"] < progress["best"]["nll"]:
            state = {name: value.clone() for name, value in averaged.state_dict().items()}
            progress["best"] = {"nll": report["nll"], "epoch": report["epoch"], "state": state}
        print(json.dumps({k: round(v, 4) for k, v in report.items()}), flush=True)
        save({"progress": progress} | {n: part.state_dict() for n, part in parts.items()}, path)
    return progress


def processor():
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.processor() or platform.machine()


def main():
    options = arguments()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    train, choosing_items, test, labels = load_items(options)
    if len(train) < BATCH or not choosing_items:
        raise SystemExit(f"{len(train)} recordings to train on and {len(choosing_items)} to choose with: too few")
    sources = [tensors(options, train, "train"), tensors(options, train, "varied", COPIES)]
    sampler = Sampler(train, labels, sources)
    choosing = measure.held_out(choosing_items, labels, *tensors(options, choosing_items, "choosing"))
    digests = {"train": corpus.digest(train), "choosing": corpus.digest(choosing_items)}
    if test:
        digests["test"] = corpus.digest(test)
    key = {"digests": digests, "epochs": options.epochs, "seed": options.seed, "labels": labels}
    key |= {"recipe": corpus.recipe_digest(HERE)}
    progress = fit(options, sampler, choosing, labels, key)

    best = network.build(len(labels))
    best.load_state_dict(progress["best"]["state"])
    rounded, graph_digest = export.write_graph(best.eval(), options.out / "graph.onnx")
    torch.save(rounded.state_dict(), options.out / "weights.pt")
    chosen_logits = measure.item_logits(rounded, choosing)
    temperature = measure.fit_temperature(chosen_logits, choosing["target"])
    metrics = {
        "model": "speech-small",
        "graph_sha256": graph_digest,
        "parameters": network.parameters(rounded),
        "multiply_accumulates_per_window": network.multiply_accumulates(rounded),
        "labels": labels,
        "recordings": {"train": len(train), "choosing": len(choosing_items), "test": len(test)},
        "speakers": {
            name: sorted({item.speaker for item in items})
            for name, items in (("train", train), ("choosing", choosing_items), ("test", test))
        }
        if not options.data
        else None,
        "data_sha256": digests,
        "seed": options.seed,
        "epochs": options.epochs,
        "chosen_epoch": progress["best"]["epoch"],
        "temperature": temperature,
        "choosing": measure.report(chosen_logits, choosing["target"], labels, temperature),
        "history": progress["history"],
        "training_seconds": round(progress["seconds"], 1),
        "training_cpu_seconds": round(progress["cpu_seconds"], 1),
        "processor": processor(),
        "threads": options.threads,
        "torch": torch.__version__,
    }
    if test:
        last = measure.held_out(test, labels, *tensors(options, test, "test"))
        metrics["test"] = measure.report(measure.item_logits(rounded, last), last["target"], labels, temperature)
    folder = options.out
    if not options.data and options.out.resolve() == HERE / "build":
        folder = HERE
        shutil.copyfile(options.out / "graph.onnx", HERE / "graph.onnx")
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    calibration = {"heads": {"emotion": {"temperature": temperature, "abstain_below": 0.0}}}
    (folder / "calibration.json").write_text(json.dumps(calibration, indent=1) + "\n")
    if options.data:
        userdata.write_bundle_source(HERE, options.out, labels, metrics)
    print(json.dumps(metrics.get("test", metrics["choosing"]), indent=1))


if __name__ == "__main__":
    main()
