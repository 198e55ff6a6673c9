"""Batched augmentation of face tensors, and pictures without a face made out of faces."""

import math

import torch
import torch.nn.functional as F

SIZE = 48


def uniform(generator, low, high, *shape):
    return torch.rand(shape, generator=generator) * (high - low) + low


def spread(x):
    """Standard deviation of each picture; about 1 unless its contrast was below the floor."""
    return x.std((1, 2, 3), keepdim=True, correction=0)


def restandardise(x, before):
    """Zero mean and unit deviation again, but faint pictures stay as faint as they were."""
    x = x - x.mean((1, 2, 3), keepdim=True)
    return x / spread(x).clamp_min(1e-3) * before.clamp_max(1.0)


def warp(x, generator, turn, zoom, shift):
    """Flip, rotate (up to `turn` degrees), scale by 1/`zoom`..`zoom`, stretch and shift (share of the side)."""
    n = len(x)
    angle = uniform(generator, -turn, turn, n) * math.pi / 180
    scale = torch.exp(uniform(generator, -math.log(zoom), math.log(zoom), n))
    stretch = torch.exp(uniform(generator, -0.08, 0.08, n))
    flip = (torch.rand(n, generator=generator) < 0.5) * 2.0 - 1.0
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    matrix = torch.stack(
        [
            torch.stack([cos * stretch * flip, -sin * stretch, uniform(generator, -2 * shift, 2 * shift, n)], 1),
            torch.stack([sin / stretch * flip, cos / stretch, uniform(generator, -2 * shift, 2 * shift, n)], 1),
        ],
        1,
    )
    grid = F.affine_grid(matrix, x.shape, align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def light(x, generator):
    """A bent tone curve and a light from one side."""
    n = len(x)
    ramp = torch.linspace(-1, 1, SIZE)
    x = x + uniform(generator, -0.12, 0.12, n, 1, 1, 1) * x.square()
    x = x + uniform(generator, -0.4, 0.4, n, 1, 1, 1) * ramp[None, None, :, None]
    return x + uniform(generator, -0.4, 0.4, n, 1, 1, 1) * ramp[None, None, None, :]


def soften(x, generator, share=0.15):
    """Halve the resolution of some pictures, and add noise to all of them."""
    small = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear", align_corners=False)
    picked = (torch.rand(len(x), generator=generator) < share)[:, None, None, None]
    sigma = uniform(generator, 0, 0.12, len(x), 1, 1, 1)
    return torch.where(picked, small, x) + sigma * torch.randn(x.shape, generator=generator)


def erase(x, generator, share):
    """Cover a box of up to a third of the side with an even grey or noise."""
    n = len(x)
    at = torch.arange(SIZE)
    height, width = uniform(generator, 6, 18, n), uniform(generator, 6, 18, n)
    top, left = uniform(generator, -6, 42, n), uniform(generator, -6, 42, n)
    rows = (at[None] >= top[:, None]) & (at[None] < (top + height)[:, None])
    columns = (at[None] >= left[:, None]) & (at[None] < (left + width)[:, None])
    box = (rows[:, :, None] & columns[:, None, :])[:, None]
    box = box & (torch.rand(n, generator=generator) < share)[:, None, None, None]
    noisy = (torch.rand(n, generator=generator) < 0.5).float()[:, None, None, None]
    cover = uniform(generator, -1.5, 1.5, n, 1, 1, 1) + noisy * torch.randn(x.shape, generator=generator)
    return torch.where(box, cover, x)


def faces(x, generator, strength=1.0):
    """Faces as a camera and a face finder might have given them; f32 [N,1,48,48] in and out."""
    before = spread(x)
    x = warp(x, generator, turn=14 * strength, zoom=1 + 0.18 * strength, shift=0.08 * strength)
    x = soften(light(x, generator), generator, 0.15 * strength)
    return restandardise(erase(x, generator, 0.3 * strength), before)


def scenes(x, generator):
    """Pictures without a face, moved and lit about."""
    before = spread(x)
    x = warp(x, generator, turn=25, zoom=1.35, shift=0.15)
    return restandardise(soften(light(x, generator), generator), before)


def straddle(x, generator):
    """Crops about half-way between two or four neighbouring faces."""
    n = len(x)
    other = x[torch.randperm(n, generator=generator)]
    pair = torch.cat([x, other], 3)
    below = torch.cat([other[torch.randperm(n, generator=generator)], x.flip(0)], 3)
    block = torch.cat([pair, below], 2)
    both = torch.rand(n, generator=generator) < 0.5
    across = torch.rand(n, generator=generator) < 0.5
    left = uniform(generator, 19, 30, n) * (both | across)
    top = uniform(generator, 19, 30, n) * (both | ~across)
    return torch.stack(
        [b[:, int(t) : int(t) + SIZE, int(l) : int(l) + SIZE] for b, t, l in zip(block, top, left)]
    )


def fragments(x, generator):
    """Small bits of faces, enlarged: a quarter to three eighths of the side."""
    n = len(x)
    scale = uniform(generator, 0.22, 0.36, n)
    zero = torch.zeros(n)
    matrix = torch.stack(
        [
            torch.stack([scale, zero, uniform(generator, -0.7, 0.7, n)], 1),
            torch.stack([zero, scale, uniform(generator, -0.7, 0.7, n)], 1),
        ],
        1,
    )
    grid = F.affine_grid(matrix, x.shape, align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def shuffled(x, generator):
    """Faces cut into 3x3 or 4x4 blocks in random order."""
    parts = 3 if torch.rand(1, generator=generator) < 0.5 else 4
    side = SIZE // parts
    blocks = x.reshape(-1, parts, side, parts, side).transpose(2, 3).reshape(-1, parts * parts, side, side)
    order = torch.rand(len(x), parts * parts, generator=generator).argsort(1)
    blocks = torch.stack([b[o] for b, o in zip(blocks, order)])
    return blocks.reshape(-1, parts, parts, side, side).transpose(2, 3).reshape(-1, 1, SIZE, SIZE)


def spoiled_faces(x, generator):
    """Pictures that hold parts of faces but no face: a third of each kind."""
    before = spread(x)
    third = len(x) // 3
    made = torch.cat(
        [straddle(x[:third], generator), fragments(x[third : 2 * third], generator), shuffled(x[2 * third :], generator)]
    )
    return restandardise(soften(light(made, generator), generator), before)
