"""Changed copies of recordings, as WAV files, and changes of the tensors made of them."""

import hashlib
import json
from pathlib import Path

import numpy as np
import soundfile
import torch

import corpus

RATE_HZ = 16000


def padded(length):
    """The next length whose transform is fast."""
    return -(-length // 4096) * 4096


def change_speed(signal, factor):
    """Plays `signal` about `factor` times as fast, pitch included, by cutting or padding its spectrum."""
    length = padded(len(signal))
    new_length = max(256, round(length / factor / 256) * 256)
    spectrum = np.fft.rfft(signal, length)
    resized = np.zeros(new_length // 2 + 1, dtype=complex)
    shared = min(len(spectrum), len(resized))
    resized[:shared] = spectrum[:shared]
    changed = np.fft.irfft(resized, new_length) * (new_length / length)
    return changed[: round(len(signal) * new_length / length)]


def coloured_noise(length, exponent, random):
    """Noise of unit RMS whose power falls as frequency to the `exponent` (0 white, 1 pink)."""
    size = padded(length)
    spectrum = np.fft.rfft(random.standard_normal(size))
    bins = np.arange(len(spectrum), dtype=float)
    bins[0] = 1.0
    noise = np.fft.irfft(spectrum * bins ** (-exponent / 2), size)[:length]
    return noise / (np.sqrt(np.mean(noise**2)) + 1e-12)


def reverberate(signal, decay_s, wet, random):
    """Adds `wet` times a synthetic room: noise that falls by 60 dB in `decay_s`."""
    time = np.arange(int(decay_s * RATE_HZ)) / RATE_HZ
    room = random.standard_normal(len(time)) * 10 ** (-3 * time / decay_s)
    room /= np.sqrt(np.sum(room**2)) + 1e-12
    size = padded(len(signal) + len(room))
    tail = np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(room, size), size)
    return signal + wet * tail[: len(signal)]


def moved(signal, random, quiet_s):
    """Cuts up to the leading quiet part, or puts silence in front of the signal."""
    if random.random() < 0.6:
        return signal[int(random.uniform(0, quiet_s) * RATE_HZ) :]
    return np.concatenate([np.zeros(int(random.uniform(0, 0.6) * RATE_HZ)), signal])


def leading_quiet_s(signal):
    """Seconds before the first 25 ms that come within 25 dB of the loudest 25 ms."""
    step = RATE_HZ // 40
    if len(signal) < step:
        return 0.0
    energy = (signal[: len(signal) // step * step].reshape(-1, step) ** 2).mean(1)
    return float(np.argmax(energy > energy.max() * 10**-2.5)) * step / RATE_HZ


def vary(signal, random, gain_db):
    """One random copy: another speed, place in time, room, noise and level."""
    if random.random() < 0.7:
        signal = change_speed(signal, random.uniform(0.9, 1.1))
    signal = moved(signal, random, leading_quiet_s(signal))
    if random.random() < 0.25:
        signal = reverberate(signal, random.uniform(0.1, 0.5), random.uniform(0.05, 0.3), random)
    if random.random() < 0.5:
        level = np.sqrt(np.mean(signal**2)) * 10 ** (-random.uniform(8, 35) / 20)
        signal = signal + level * coloured_noise(len(signal), random.uniform(0, 1.5), random)
    signal = signal * 10 ** (random.uniform(-gain_db, gain_db) / 20)
    return np.clip(signal, -1.0, 32767 / 32768)


def write_copies(items, folder, copies, gain_db, seed):
    """Writes `copies` varied WAV files of each item; returns (path, item index) pairs.

    A folder that a run with the same recordings and settings has filled is taken as it is.
    """
    paths = [folder / f"{index:05d}-{copy}.wav" for index in range(len(items)) for copy in range(copies)]
    written = [(path, number // copies) for number, path in enumerate(paths)]
    mark = hashlib.sha256(Path(__file__).read_bytes())
    mark.update(json.dumps([copies, gain_db, seed, corpus.digest(items)]).encode())
    stamp = folder.with_suffix(".made")
    if stamp.exists() and stamp.read_text() == mark.hexdigest():
        return written
    folder.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    for index, item in enumerate(items):
        signal, rate = soundfile.read(item.path, dtype="float64", always_2d=True)
        signal = signal.mean(1)
        if rate != RATE_HZ:
            raise SystemExit(f"{item.path}: {rate} Hz; convert training recordings to {RATE_HZ} Hz first")
        for copy in range(copies):
            random = np.random.default_rng([seed, index, copy])
            # Corpora recorded at one normalised level carry no level to learn from.
            swing = gain_db + (20.0 if item.normalised_level else 0.0)
            varied = vary(signal * (0.1 if item.normalised_level else 1.0), random, swing)
            soundfile.write(paths[index * copies + copy], varied, RATE_HZ, subtype="PCM_16")
    stamp.write_text(mark.hexdigest())
    return written


def mask(features, random_axis, widest, pieces):
    """Sets up to `pieces` stretches of at most `widest` along an axis to the item's mean."""
    size = features.shape[random_axis]
    positions = torch.arange(size)
    shape = [1, 1, 1, 1]
    shape[random_axis] = size
    fill = features.mean((1, 2, 3), keepdim=True)
    for _ in range(pieces):
        width = torch.randint(0, widest + 1, (features.shape[0], 1))
        start = (torch.rand(features.shape[0], 1) * (size - width)).long()
        hit = (positions >= start) & (positions < start + width)
        shape[0] = features.shape[0]
        features = torch.where(hit.view(shape), fill, features)
    return features


def shift(features, most):
    """Moves each item along time by up to `most` frames; the gap takes the item's least value."""
    count, _, frames, _ = features.shape
    source = torch.arange(frames) + torch.randint(-most, most + 1, (count, 1))
    inside = (source >= 0) & (source < frames)
    rows = torch.arange(count)[:, None]
    moved_features = features[rows, 0, source.clamp(0, frames - 1)].unsqueeze(1)
    return torch.where(inside[:, None, :, None], moved_features, features.amin((1, 2, 3), keepdim=True))


def vary_features(features):
    """Random time offset, then masked stretches of time and of mel bands."""
    return mask(mask(shift(features, 12), 2, 12, 2), 3, 8, 2)
