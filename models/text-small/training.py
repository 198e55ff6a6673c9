"""One training loop for all stages: schedule, optimiser, checkpoints that a later run resumes."""

import hashlib
import json
import os
import random
import sys
import time

import torch


def save_atomically(state, path):
    """Writes a checkpoint beside its place and renames it, so that no half file is ever found."""
    beside = path.with_name(path.name + ".part")
    torch.save(state, beside)
    os.replace(beside, path)


def name_of(digests):
    """A short name of data with these digests."""
    text = json.dumps(digests, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fit(model, path, epochs, make_epoch, loss_of, rate, run, after_epoch=None, warm_up=0.1):
    """Trains `model` and keeps its state in the file `path` after each epoch.

    `make_epoch(epoch, draw)` gives the list of steps, `loss_of(step)` the loss of one; the learning
    rate rises for the share `warm_up` of all steps and falls linearly to zero. `after_epoch(epoch)`
    returns a score, higher being better: the weights of the best epoch are the ones loaded at the
    end. `run` is the seed and a name of the data: a checkpoint of another run is refused, not resumed.
    Returns the history: one record an epoch.
    """
    seed, data = run
    run = f"{seed}:{data}:{epochs}"
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": 0.01},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)
    history, best = [], None
    if path.exists():
        state = torch.load(path, weights_only=True)
        if state["run"] != run:
            sys.exit(f"{path} is of a run with other data, seed or epochs: remove it or change --out")
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        history, best = state["history"], state["best"]
        print(f"{path.name}: resumed after epoch {len(history)}", file=sys.stderr)
    for epoch in range(len(history), epochs):
        draw = random.Random(f"{seed}:{path.name}:{epoch}")
        torch.manual_seed(draw.getrandbits(32))
        steps = make_epoch(epoch, draw)
        began, spent, sum_of_losses = time.perf_counter(), time.process_time(), 0.0
        model.train()
        for i, step in enumerate(steps):
            done = (epoch + i / len(steps)) / epochs
            factor = min(done / warm_up, (1 - done) / (1 - warm_up)) if warm_up else 1 - done
            for group in optimiser.param_groups:
                group["lr"] = rate * max(factor, 0.001)
            with torch.autocast("cpu", torch.bfloat16):
                loss = loss_of(step)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            optimiser.zero_grad()
            sum_of_losses += loss.item()
            if i % 50 == 49:
                note = f"epoch {epoch + 1}/{epochs} step {i + 1}/{len(steps)}"
                print(f"{path.name}: {note} loss {sum_of_losses / (i + 1):.4f}", file=sys.stderr)
        record = {
            "epoch": epoch + 1,
            "loss": sum_of_losses / len(steps),
            "seconds": round(time.perf_counter() - began, 1),
            "cpu_seconds": round(time.process_time() - spent, 1),
        }
        if after_epoch:
            record |= after_epoch(epoch)
        history.append(record)
        print(f"{path.name}: {record}", file=sys.stderr)
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        if best is None or record.get("score", epoch) >= best["score"]:
            best = {"score": record.get("score", epoch), "epoch": epoch + 1, "model": weights}
        state = {"run": run, "model": weights, "optimiser": optimiser.state_dict()}
        save_atomically(state | {"history": history, "best": best}, path)
    if best:
        model.load_state_dict(best["model"])
    model.eval()
    return history
