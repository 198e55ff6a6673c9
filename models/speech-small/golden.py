"""Writes reference.json: what PyTorch with the stored weights answers on real recordings.

From file to probability without the product's own code: soundfile reads, torchaudio
resamples, librosa makes the log-mel, the network of network.py runs with the f16-rounded weights of the bundle's graph.
"""

import argparse
import hashlib
import json
import os
import tomllib
from pathlib import Path

import librosa
import numpy as np
import onnxruntime
import soundfile
import torch

# torchaudio refuses to load beside a torch built for another CUDA release, though nothing here runs on a GPU.
torch.version.cuda = None
import torchaudio  # noqa: E402

import corpus
import export
import network

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ACTED = 140
GERMAN = 58
ORDINARY = 2


def steps_of(model):
    """The parameters of each preprocessing step by the step's name."""
    return {step["step"].split("@")[0]: step for step in model["inputs"][0]["steps"]}


def windows(signal, step, rate_hz):
    """The windows that the rule of `window@1` gives, zeros behind the end."""
    length, hop, least = (step[k] * rate_hz // 1000 for k in ("length_ms", "hop_ms", "min_ms"))
    if len(signal) < least:
        return []
    cut, start = [], 0
    while True:
        covered = 0 if start == 0 else start - hop + length
        if start and len(signal) - covered < least:
            return cut
        part = signal[start : start + length]
        cut.append(np.pad(part, (0, length - len(part))))
        start += hop


def log_mel(signal, step):
    """librosa's mel spectrogram and a natural logarithm over a floor, `[frames, mels]`."""
    energies = librosa.feature.melspectrogram(
        y=signal,
        sr=step["sample_rate_hz"],
        n_fft=step["fft_size"],
        win_length=step["window_samples"],
        hop_length=step["hop_samples"],
        center=step["centre"],
        power=step["power"],
        n_mels=step["mels"],
        fmin=step["low_hz"],
        fmax=step["high_hz"],
        htk=step["mel_scale"] == "htk",
        norm=None if step["mel_norm"] == "none" else step["mel_norm"],
    )
    return np.log(np.maximum(energies, step["floor"])).T


def features_of(path, steps):
    """The network's input for each window of a file at the model's rate."""
    signal, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    resample, scale = steps["resample"], steps["scale"]
    signal = torchaudio.functional.resample(
        torch.from_numpy(signal.mean(1)).double(),
        rate_hz,
        resample["rate_hz"],
        lowpass_filter_width=resample["zero_crossings"],
        rolloff=resample["rolloff"],
    )
    cut = windows(signal.float().numpy(), steps["window"], resample["rate_hz"])
    mel = np.stack([log_mel(window, steps["log_mel"]) for window in cut])
    scaled = (mel * scale["factor"] - scale["mean"][0]) / scale["std"][0]
    return torch.from_numpy(scaled[:, None].astype(np.float32))


def chosen_files(shared):
    """Evenly spread recordings of each kind, whose sorted names fix the choice."""
    kinds = (("ravdess/*.flac", ACTED), ("emodb/*.flac", GERMAN), ("ordinary/*.wav", ORDINARY))
    for pattern, count in kinds:
        found = sorted((shared / "speech").glob(pattern))
        if len(found) < count:
            raise SystemExit(f"{shared}/speech/{pattern}: {len(found)} files, need {count}")
        for index in range(count):
            yield found[index * len(found) // count], shared, "exact"
    # Every recording of the data sets has the model's rate; the project's own samples have another.
    for name in ("good-news.wav", "by-the-door.flac"):
        yield ROOT / "samples" / name, ROOT, "resampled"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    default = os.environ.get("LIMBIC_SHARED", ROOT.parent / "shared")
    parser.add_argument("--shared", type=Path, default=default)
    parser.add_argument("--weights", type=Path, default=HERE / "build" / "weights.pt")
    parser.add_argument("--graph", type=Path, default=HERE / "build" / "graph.onnx")
    options = parser.parse_args()
    torch.set_num_threads(1)
    shared = options.shared / "data" if (options.shared / "data").is_dir() else options.shared
    steps = steps_of(tomllib.loads((HERE / "model.toml").read_text()))
    calibration = json.loads((HERE / "calibration.json").read_text())
    temperature = calibration["heads"]["emotion"]["temperature"]
    rounded = export.fold(network.build(len(corpus.RAVDESS_LABELS)))
    rounded.load_state_dict(torch.load(options.weights, weights_only=True))
    rounded.eval()
    graph = onnxruntime.InferenceSession(options.graph, providers=["CPUExecutionProvider"])

    items, furthest = [], 0.0
    for path, folder, kind in chosen_files(shared):
        features = features_of(path, steps)
        with torch.no_grad():
            logits = rounded(features)
        for window, expected in zip(features, logits):
            found = graph.run(["emotion_logits"], {"features": window[None].numpy()})[0][0]
            furthest = max(furthest, float(np.abs(found - expected.numpy()).max()))
        mean = logits.double().mean(0)
        items.append(
            {
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "source": path.relative_to(folder).as_posix(),
                "set": kind,
                "outputs": {"emotion": torch.softmax(mean / temperature, 0).tolist()},
                # The product leaves windows without speech out of the mean; each window is compared too.
                "windows": [
                    {"emotion": torch.softmax(each.double() / temperature, 0).tolist()} for each in logits
                ],
            }
        )
    if furthest > 1e-3:
        raise SystemExit(f"the graph's logits differ from PyTorch's by {furthest}: not the same weights")
    digest = hashlib.sha256(options.graph.read_bytes()).hexdigest()
    reference = {"model": "speech-small", "weights_sha256": digest, "items": items}
    (HERE / "reference.json").write_text(json.dumps(reference, indent=1) + "\n")
    print(f"{len(items)} items; largest logit difference between the graph and PyTorch {furthest:.2e}")


if __name__ == "__main__":
    main()
