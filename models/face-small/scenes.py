"""Drawn pictures without a face: what the face output must refuse when a whole picture is given."""

import os

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE = 96
COLUMNS = 16
WORDS = (
    "the of and to in is that for with as on at by from it was are this not have but which one all "
    "their has been more when there can out other were than time some what about into only new also "
    "Invoice Total Page Chapter Figure Notice OPEN EXIT STOP SALE News 2024 1,250.00 17:45 A-113"
).split()


def spectral_noise(rng, side=SIDE, exponent=None):
    """Noise whose amplitude falls with frequency to a power, scaled to 0..1; f64 [side,side]."""
    exponent = rng.uniform(0.0, 2.4) if exponent is None else exponent
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]
    stretch = np.exp(rng.uniform(-0.7, 0.7))
    radius = np.sqrt((fy * stretch) ** 2 + (fx / stretch) ** 2)
    radius[0, 0] = 1.0
    spectrum = rng.normal(size=radius.shape) + 1j * rng.normal(size=radius.shape)
    field = np.fft.irfft2(spectrum * radius**-exponent, s=(side, side))
    return (field - field.min()) / max(np.ptp(field), 1e-9)


def _gradient(rng):
    angle, y, x = rng.uniform(0, 2 * np.pi), *np.mgrid[0:1:SIDE * 1j, 0:1:SIDE * 1j]
    ramp = x * np.cos(angle) + y * np.sin(angle)
    return rng.uniform(0, 255) + rng.uniform(-160, 160) * (ramp - ramp.mean())


def _canvas(array):
    image = Image.fromarray(np.clip(array, 0, 255).astype(np.uint8))
    return image, ImageDraw.Draw(image)


def _grey(rng):
    return int(rng.integers(0, 256))


def noise(rng):
    """Noise from white to very smooth, at any contrast."""
    return rng.uniform(40, 200) + rng.uniform(10, 260) * (spectral_noise(rng) - 0.5)


def wall(rng):
    """A blank surface: even or shaded, with sensor noise, sometimes tiles or bricks."""
    picture = np.full((SIDE, SIDE), rng.uniform(0, 255))
    if rng.random() < 0.7:
        picture = picture + rng.uniform(0.02, 0.5) * (_gradient(rng) - 128)
    if rng.random() < 0.35:
        y, x = np.mgrid[0:SIDE, 0:SIDE]
        height, width, joint = rng.integers(6, 28), rng.integers(8, 48), rng.integers(1, 3)
        row = y // height
        shifted = x + (row % 2) * (width // 2) * int(rng.random() < 0.6)
        picture = picture + rng.normal(0, rng.uniform(0, 15), (64, 64))[row % 64, (shifted // width) % 64]
        picture[(y % height < joint) | (shifted % width < joint)] += rng.uniform(-70, 70)
    return picture + rng.normal(0, rng.uniform(0, 9), (SIDE, SIDE))


def landscape(rng):
    """Sky with clouds, and one to four ridges in front of each other, each with its own texture."""
    y = np.linspace(0, 1, SIDE)[:, None]
    picture = rng.uniform(60, 250) + rng.uniform(-90, 90) * y + np.zeros((SIDE, SIDE))
    picture += rng.uniform(0, 110) * (spectral_noise(rng, exponent=rng.uniform(1.2, 2.2)) - 0.5)
    if rng.random() < 0.3:
        image, draw = _canvas(picture)
        cx, cy, r = rng.uniform(0, SIDE), rng.uniform(0, SIDE / 2), rng.uniform(2, 10)
        draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=int(rng.integers(200, 256)))
        picture = np.asarray(image, float)
    base = rng.uniform(0.15, 0.7)
    for _ in range(rng.integers(1, 5)):
        ridge = spectral_noise(rng, exponent=rng.uniform(1.0, 2.2))[0]
        line = base + rng.uniform(0.0, 0.45) * (ridge - ridge.mean())
        texture = rng.uniform(10, 200) + rng.uniform(0, 160) * (spectral_noise(rng, exponent=rng.uniform(0.2, 1.8)) - 0.5)
        texture = texture + rng.uniform(-60, 60) * y
        picture = np.where(y > line[None, :], texture, picture)
        base += rng.uniform(0.05, 0.3)
    return picture


def buildings(rng):
    """A street front: boxes with rows of windows before a sky."""
    image, draw = _canvas(rng.uniform(90, 240) + rng.uniform(-60, 60) * np.linspace(0, 1, SIDE)[:, None] + np.zeros((SIDE, SIDE)))
    for _ in range(rng.integers(1, 7)):
        width, top = rng.integers(14, 80), rng.integers(0, 70)
        left, shade = rng.integers(-20, SIDE), _grey(rng)
        draw.rectangle((left, top, left + width, SIDE), fill=shade)
        pane, step_x, step_y = _grey(rng), rng.integers(4, 16), rng.integers(4, 18)
        for wy in range(int(top) + 3, SIDE, int(step_y)):
            for wx in range(int(left) + 3, int(left + width) - 3, int(step_x)):
                if rng.random() < 0.9:
                    draw.rectangle((wx, wy, wx + step_x // 2, wy + step_y // 2), fill=pane)
    return np.asarray(image, float) + rng.uniform(0, 40) * (spectral_noise(rng) - 0.5)


def foliage(rng):
    """Overlapping leaves or blades, lit at random."""
    image, draw = _canvas(_gradient(rng))
    length, slim = rng.uniform(3, 26), rng.uniform(0.12, 0.6)
    centre, spread = rng.uniform(40, 200), rng.uniform(15, 80)
    turn, wobble = rng.uniform(0, np.pi), rng.uniform(0.1, 3.1)
    for _ in range(int(rng.uniform(60, 400))):
        x, y = rng.uniform(-8, SIDE + 8, 2)
        angle, long = turn + rng.normal(0, wobble), length * rng.uniform(0.4, 1.3)
        t = np.linspace(0, 2 * np.pi, 9)
        px, py = long * np.cos(t), long * slim * np.sin(t)
        outline = np.stack([x + px * np.cos(angle) - py * np.sin(angle), y + px * np.sin(angle) + py * np.cos(angle)], 1)
        draw.polygon([tuple(p) for p in outline], fill=int(np.clip(rng.normal(centre, spread), 0, 255)))
    return np.asarray(image, float)


def tree(rng):
    """Bare branches before a smooth or cloudy sky."""
    image, draw = _canvas(_gradient(rng) + rng.uniform(0, 60) * (spectral_noise(rng, exponent=1.8) - 0.5))
    shade, split = _grey(rng), rng.uniform(0.3, 0.8)

    def branch(x, y, angle, length, width, depth):
        ex, ey = x + length * np.cos(angle), y - length * np.sin(angle)
        draw.line((x, y, ex, ey), fill=shade, width=max(1, int(width)))
        if depth:
            for side in (-1, 1):
                branch(ex, ey, angle + side * split * rng.uniform(0.5, 1.4), length * rng.uniform(0.6, 0.85), width * 0.65, depth - 1)

    for _ in range(rng.integers(1, 4)):
        branch(rng.uniform(10, 86), rng.uniform(70, 100), np.pi / 2 + rng.normal(0, 0.2), rng.uniform(14, 32), rng.uniform(2, 9), 5)
    return np.asarray(image, float)


def pattern(rng):
    """Stripes, gratings, checkers, rings and plaids."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(float)
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, 48)
    u = (x * np.cos(angle) + y * np.sin(angle)) / period
    v = (-x * np.sin(angle) + y * np.cos(angle)) / (period * rng.uniform(0.5, 2))
    rings = np.hypot(x - rng.uniform(-20, 116), y - rng.uniform(-20, 116)) / period
    wave = [
        np.sin(2 * np.pi * u),
        np.sin(2 * np.pi * u) * np.sin(2 * np.pi * v),
        np.sin(2 * np.pi * u) + np.sin(2 * np.pi * v),
        np.sin(2 * np.pi * rings),
    ][rng.integers(4)]
    if rng.random() < 0.5:
        wave = np.sign(wave)
    return rng.uniform(60, 190) + rng.uniform(10, 120) * wave + rng.normal(0, rng.uniform(0, 12), (SIDE, SIDE))


def shapes(rng):
    """Ellipses, boxes, polygons and lines in any grey."""
    image, draw = _canvas(_gradient(rng))
    for _ in range(rng.integers(1, 22)):
        x, y = rng.uniform(-10, SIDE, 2)
        w, h = rng.uniform(4, 60, 2)
        outline = _grey(rng) if rng.random() < 0.3 else None
        kind, fill = rng.integers(4), _grey(rng)
        if kind == 0:
            draw.ellipse((x, y, x + w, y + h), fill=fill, outline=outline)
        elif kind == 1:
            draw.rectangle((x, y, x + w, y + h), fill=fill, outline=outline)
        elif kind == 2:
            draw.polygon([tuple(p) for p in rng.uniform((x, y), (x + w, y + h), (rng.integers(3, 7), 2))], fill=fill)
        else:
            draw.line((x, y, *rng.uniform(0, SIDE, 2)), fill=fill, width=int(rng.integers(1, 8)))
    return np.asarray(image, float)


def blobs(rng):
    """Soft bumps and dips on a shaded ground: defocused lights, stains, bokeh."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(float)
    picture = _gradient(rng)
    for _ in range(rng.integers(1, 16)):
        cx, cy = rng.uniform(-5, SIDE + 5, 2)
        sx, sy = np.exp(rng.uniform(1, 3.4, 2))
        picture = picture + rng.uniform(-140, 140) * np.exp(-(((x - cx) / sx) ** 2 + ((y - cy) / sy) ** 2) / 2)
    return picture


def room(rng):
    """A corner, a corridor or a road: planes that meet at a vanishing point, with boxes on them."""
    image, draw = _canvas(np.full((SIDE, SIDE), float(_grey(rng))))
    vx, vy = rng.uniform(10, 86, 2)
    rim = [(-30, -30), (126, -30), (126, 126), (-30, 126)]
    for a, b in zip(rim, rim[1:] + rim[:1]):
        draw.polygon([a, b, (vx, vy)], fill=_grey(rng))
    for _ in range(rng.integers(0, 6)):
        draw.line((vx, vy, *rng.uniform(-20, 116, 2)), fill=_grey(rng), width=int(rng.integers(1, 4)))
    for _ in range(rng.integers(0, 5)):
        x, y = rng.uniform(-10, SIDE, 2)
        w, h = rng.uniform(6, 45, 2)
        draw.rectangle((x, y, x + w, y + h), fill=_grey(rng), outline=_grey(rng))
    return np.asarray(image, float) + rng.uniform(0, 50) * (spectral_noise(rng) - 0.5)


def text(rng):
    """A page, a sign or a few letters, dark on light or light on dark, at times tilted."""
    paper, ink = rng.uniform(170, 255), rng.uniform(0, 90)
    if rng.random() < 0.3:
        paper, ink = ink, paper
    size = int(np.exp(rng.uniform(np.log(5), np.log(70))))
    font = ImageFont.load_default(size)
    image, draw = _canvas(np.full((SIDE * 2, SIDE * 2), paper))
    pitch = size * rng.uniform(1.0, 1.9)
    indent = rng.uniform(-10, 60)
    y = rng.uniform(0, 60)
    while y < SIDE * 2:
        line = " ".join(rng.choice(WORDS, rng.integers(1, 16)))
        if rng.random() < 0.9:
            draw.text((indent, y), line, font=font, fill=int(ink))
        y += pitch
    for _ in range(rng.integers(0, 3) if rng.random() < 0.3 else 0):
        x, top = rng.uniform(0, 150, 2)
        draw.rectangle((x, top, x + rng.uniform(10, 90), top + rng.uniform(2, 60)), fill=_grey(rng))
    image = image.rotate(rng.normal(0, 4), Image.Resampling.BILINEAR, fillcolor=int(paper))
    left, top = rng.integers(0, 60, 2)
    side = rng.integers(SIDE, SIDE * 2 - 60)
    return np.asarray(image.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BILINEAR), float)


def chart(rng):
    """Bars, curves, tables and window frames as on a screen."""
    light = rng.random() < 0.7
    image, draw = _canvas(np.full((SIDE, SIDE), 245.0 if light else 25.0))
    ink = lambda: int(rng.integers(0, 170) if light else rng.integers(90, 256))
    kind = rng.integers(3)
    if kind == 0:
        width = rng.uniform(3, 14)
        for x in np.arange(rng.uniform(4, 14), SIDE - 6, width * 1.4):
            draw.rectangle((x, rng.uniform(8, 80), x + width, 88), fill=ink())
    elif kind == 1:
        for _ in range(rng.integers(1, 5)):
            curve = 90 - 80 * spectral_noise(rng, exponent=rng.uniform(0.6, 2))[0]
            draw.line([(float(i), float(v)) for i, v in enumerate(curve)], fill=ink(), width=int(rng.integers(1, 4)))
    else:
        for step, flip in ((rng.integers(8, 30), False), (rng.integers(8, 30), True)):
            for at in range(4, SIDE, int(step)):
                draw.line((at, 0, at, SIDE) if flip else (0, at, SIDE, at), fill=ink())
    draw.line((6, 4, 6, 88, 92, 88), fill=ink())
    return np.asarray(image, float)


KINDS = (noise, wall, landscape, landscape, buildings, foliage, tree, pattern, shapes, blobs, room, text, text, chart)


def draw_scene(seed):
    """One scene of a kind, blur, contrast, brightness and noise that follow from the seed; u8 [96,96]."""
    rng = np.random.default_rng(seed)
    picture = KINDS[rng.integers(len(KINDS))](rng)
    if rng.random() < 0.35:
        image, _ = _canvas(picture)
        picture = np.asarray(image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 4))), float)
    if rng.random() < 0.4:
        picture = 128 + (picture - 128) * rng.uniform(0.1, 1.0) + rng.uniform(-60, 60)
    if rng.random() < 0.4:
        picture = picture + rng.normal(0, rng.uniform(1, 20), picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _corner(i):
    return i % COLUMNS * SIDE, i // COLUMNS * SIDE


def regions(count):
    """Where the scenes of a sheet lie, as `x,y,w,h`."""
    return ["{},{},{},{}".format(*_corner(i), SIDE, SIDE) for i in range(count)]


def write_sheet(path, seeds):
    """Draw scenes side by side into one PNG, written whole or not at all."""
    sheet = np.zeros((-(-len(seeds) // COLUMNS) * SIDE, COLUMNS * SIDE), np.uint8)
    for i, seed in enumerate(seeds):
        x, y = _corner(i)
        sheet[y : y + SIDE, x : x + SIDE] = draw_scene(seed)
    partial = f"{path}.partial"
    Image.fromarray(sheet).save(partial, format="PNG")
    os.replace(partial, path)
