"""Writes the golden files of the audio steps: inputs, outputs of torchaudio and librosa, and the parameters of each case.

Run from this folder: python make_audio.py. Needs numpy, torch, torchaudio and librosa. All signals are synthetic and made
from fixed seeds. References are computed in double precision unless a case says float32.
"""

import json
from pathlib import Path

import librosa
import numpy as np
import torch

# Only CPU code runs here; torchaudio refuses to load when the two packages name different CUDA versions.
torch.version.cuda = None
import torchaudio  # noqa: E402

OUT = Path(__file__).parent / "audio"


def save(name, array):
    np.save(OUT / f"{name}.npy", np.ascontiguousarray(array, dtype="<f4"))


def chirp_and_noise(rate, samples, seed):
    """A chirp over most of the band, with noise 30 dB below it; starts and ends at full level to test the edges."""
    time = np.arange(samples) / rate
    length = samples / rate
    phase = 2 * np.pi * (50 * time + (0.48 * rate - 50) * time**2 / (2 * length)) + 1.0
    noise = np.random.default_rng(seed).standard_normal(samples)
    return (0.6 * np.sin(phase) + 0.02 * noise).astype(np.float32)


def voice(rate, samples, seed):
    """Something like a voice: glottal pulses of moving pitch through three resonators, a hiss, and pauses."""
    random = np.random.default_rng(seed)
    time = np.arange(samples) / rate
    pitch = 140 + 40 * np.sin(2 * np.pi * 1.7 * time)
    turns = np.cumsum(pitch) / rate
    source = (np.diff(np.floor(turns), prepend=0.0) > 0).astype(np.float64)
    out = np.zeros(samples)
    for centre, width, share in ((620, 80, 1.0), (1300, 110, 0.6), (2500, 160, 0.3)):
        radius = np.exp(-np.pi * width / rate)
        a1, a2 = 2 * radius * np.cos(2 * np.pi * centre / rate), -(radius**2)
        y1 = y2 = 0.0
        for at in range(samples):
            y1, y2 = source[at] + a1 * y1 + a2 * y2, y1
            out[at] += share * y1
    out *= np.clip(np.sin(2 * np.pi * 3.1 * time) + 0.4, 0, None)
    out = 0.5 * out / np.abs(out).max() + 0.003 * random.standard_normal(samples)
    return out.astype(np.float32)


def resample_cases():
    cases = []
    for at, (source, target, crossings, rolloff, samples) in enumerate(
        [
            (8000, 16000, 6, 0.99, 601),
            (11025, 16000, 6, 0.99, 801),
            (22050, 16000, 6, 0.99, 1100),
            (24000, 16000, 6, 0.99, 1000),
            (44100, 16000, 6, 0.99, 2205),
            (44100, 16000, 32, 0.95, 2205),
            (48000, 16000, 16, 0.97, 2400),
            (96000, 16000, 6, 0.99, 2881),
            (192000, 16000, 6, 0.99, 3841),
            (16000, 44100, 6, 0.99, 500),
            (22001, 1000, 6, 0.99, 1501),
            (16000, 1000, 6, 0.99, 777),
            (1000, 768000, 6, 0.99, 3),
            (48000, 16000, 6, 0.99, 1),
        ]
    ):
        signal = chirp_and_noise(source, samples, seed=at)
        output = torchaudio.functional.resample(
            torch.from_numpy(signal).double(),
            source,
            target,
            lowpass_filter_width=crossings,
            rolloff=rolloff,
            resampling_method="sinc_interp_hann",
        )
        name = f"resample_{at:02}_{source}_{target}"
        save(f"{name}_in", signal)
        save(f"{name}_out", output.numpy())
        params = {"rate_hz": target, "zero_crossings": crossings, "rolloff": rolloff, "window": "hann"}
        cases.append({"name": name, "input_hz": source, "params": params})
    return cases


def log_mel_cases():
    common = {
        "sample_rate_hz": 16000,
        "window_samples": 400,
        "window": "hann_periodic",
        "hop_samples": 160,
        "fft_size": 512,
        "centre": False,
        "pad": "none",
        "power": 2.0,
        "mels": 64,
        "mel_scale": "htk",
        "mel_norm": "none",
        "low_hz": 60.0,
        "high_hz": 7600.0,
        "log": "natural",
        "floor": 1e-6,
    }
    listed = [
        ("torchaudio", "f64", {}),
        ("torchaudio", "f32", {"window_samples": 512, "floor": 1e-5}),
        ("torchaudio", "f64", {"centre": True, "pad": "reflect", "power": 1.0, "fft_size": 400, "hop_samples": 200,
                               "mels": 80, "low_hz": 0.0, "high_hz": 8000.0, "mel_norm": "slaney"}),
        ("torchaudio", "f64", {"centre": True, "pad": "zero", "fft_size": 256, "window_samples": 256, "mels": 128,
                               "hop_samples": 321, "low_hz": 0.0, "high_hz": 8000.0, "log": "log10_db",
                               "floor": 1e-10}),
        ("torchaudio", "f64", {"mel_scale": "slaney", "hop_samples": 700, "power": 1.5}),
        ("librosa", "f64", {"mel_scale": "slaney", "mel_norm": "slaney", "centre": True, "pad": "zero", "mels": 40,
                            "window_samples": 512, "low_hz": 0.0, "high_hz": 8000.0, "log": "log10_db",
                            "floor": 1e-10}),
        ("librosa", "f64", {"mel_scale": "htk", "window_samples": 300, "hop_samples": 256}),
        ("librosa", "f64", {"mel_scale": "slaney", "mel_norm": "slaney", "centre": True, "pad": "reflect",
                            "sample_rate_hz": 22050, "high_hz": 11025.0, "mels": 32, "hop_samples": 512,
                            "fft_size": 1024, "window_samples": 1024}),
    ]
    cases = []
    for at, (reference, precision, change) in enumerate(listed):
        params = common | change
        signal = voice(16000, 6000, seed=100 + at % 2)
        mel = (torchaudio_mel if reference == "torchaudio" else librosa_mel)(signal, params, precision)
        raised = np.maximum(mel.astype(np.float64), params["floor"])
        values = np.log(raised) if params["log"] == "natural" else 10 * np.log10(raised)
        name = f"log_mel_{at:02}_{reference}_{precision}"
        save(f"{name}_out", values.T)
        cases.append({"name": name, "voice": at % 2, "params": params})
    for seed in range(2):
        # The voice is made at 16 kHz; a case of another rate reads the same numbers as if they had that rate.
        save(f"voice_{seed}", voice(16000, 6000, seed=100 + seed))
    return cases


def torchaudio_mel(signal, params, precision):
    torch.set_default_dtype(torch.float64 if precision == "f64" else torch.float32)
    try:
        transform = torchaudio.transforms.MelSpectrogram(
            sample_rate=params["sample_rate_hz"],
            n_fft=params["fft_size"],
            win_length=params["window_samples"],
            hop_length=params["hop_samples"],
            f_min=params["low_hz"],
            f_max=params["high_hz"],
            n_mels=params["mels"],
            power=params["power"],
            center=params["centre"],
            pad_mode={"zero": "constant", "none": "reflect"}.get(params["pad"], params["pad"]),
            mel_scale=params["mel_scale"],
            norm=None if params["mel_norm"] == "none" else "slaney",
        )
        return transform(torch.from_numpy(signal).to(torch.get_default_dtype())).numpy()
    finally:
        torch.set_default_dtype(torch.float32)


def librosa_mel(signal, params, precision):
    assert precision == "f64"
    return librosa.feature.melspectrogram(
        y=signal.astype(np.float64),
        sr=params["sample_rate_hz"],
        n_fft=params["fft_size"],
        hop_length=params["hop_samples"],
        win_length=params["window_samples"],
        window="hann",
        center=params["centre"],
        pad_mode={"zero": "constant", "none": "constant"}.get(params["pad"], params["pad"]),
        power=params["power"],
        n_mels=params["mels"],
        fmin=params["low_hz"],
        fmax=params["high_hz"],
        htk=params["mel_scale"] == "htk",
        norm=None if params["mel_norm"] == "none" else "slaney",
        dtype=np.float64,
    )


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    cases = {"resample": resample_cases(), "log_mel": log_mel_cases()}
    (OUT / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")
