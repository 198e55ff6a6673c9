"""Writes the sound and picture files beside this script with libsndfile (soundfile) and Pillow.

The tests compute the sound's samples again from the formula below; for pictures the script also stores what Pillow
reads back, as `NAME.pixels`: the line "WIDTH HEIGHT CHANNELS" and the raw values. Run: python make_fixtures.py
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image, ImageOps

HERE = Path(__file__).parent


def sample(frame: int, channel: int, bits: int) -> int:
    """A triangle wave with noise, in whole numbers so that any language gets the same."""
    amplitude = 1 << (bits - 2)
    triangle = abs((frame * (channel + 3) * 7) % 400 - 200) - 100
    noise = ((frame * 1103515245 + 12345 + channel * 7919) & 0x7FFFFFFF) >> 16
    return (triangle * amplitude) // 128 + noise % max(1, amplitude // 64)


def sound(frames: int, channels: int, bits: int) -> np.ndarray:
    rows = [[sample(frame, channel, bits) for channel in range(channels)] for frame in range(frames)]
    return np.array(rows, dtype=np.int64)


def write_sound(name: str, frames: int, channels: int, bits: int, rate: int, **options) -> None:
    values = sound(frames, channels, bits)
    if options["subtype"] in ("FLOAT", "DOUBLE"):
        data = values / float(1 << (bits - 1))
    else:
        # libsndfile keeps the upper bits of a 32-bit integer.
        data = (values << (32 - bits)).astype(np.int32)
    soundfile.write(HERE / name, data, rate, **options)


def store(name: str, picture: Image.Image) -> None:
    picture = picture.convert("L" if picture.mode in ("1", "L", "I;16") else "RGB")
    channels = len(picture.getbands())
    header = f"{picture.width} {picture.height} {channels}\n".encode()
    (HERE / f"{name}.pixels").write_bytes(header + picture.tobytes())


def colours(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    red, green, blue = x * 255 // (width - 1), y * 255 // (height - 1), (x * 13 + y * 29) % 256
    return Image.fromarray(np.stack([red, green, blue], axis=-1).astype(np.uint8), "RGB")


def smooth(width: int, height: int) -> Image.Image:
    """Slow changes, so that two JPEG decoders differ by rounding only."""
    y, x = np.mgrid[0:height, 0:width]
    red, green, blue = 40 + x * 3, 200 - y * 2, 90 + x + y
    return Image.fromarray(np.stack([red, green, blue], axis=-1).clip(0, 255).astype(np.uint8), "RGB")


def adam7_png(picture: Image.Image) -> bytes:
    """An interlaced PNG, which Pillow reads but does not write."""
    values = np.asarray(picture)
    height, width = values.shape[:2]
    raw = b""
    for x0, y0, dx, dy in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]:
        part = values[y0::dy, x0::dx]
        if part.size:
            raw += b"".join(b"\0" + row.tobytes() for row in part)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def main() -> None:
    for name, subtype, bits in [("u8", "PCM_U8", 8), ("s16", "PCM_16", 16), ("s24", "PCM_24", 24), ("s32", "PCM_32", 32)]:
        write_sound(f"{name}.wav", 500, 2, bits, 22050, subtype=subtype, format="WAV")
    write_sound("f32.wav", 500, 1, 24, 44100, subtype="FLOAT", format="WAV")
    write_sound("f64.wav", 500, 1, 24, 48000, subtype="DOUBLE", format="WAV")
    write_sound("extensible.wav", 300, 6, 24, 96000, subtype="PCM_24", format="WAVEX")
    write_sound("rf64.wav", 300, 1, 16, 16000, subtype="PCM_16", format="RF64")
    write_sound("mono16.flac", 9000, 1, 16, 16000, subtype="PCM_16", format="FLAC")
    write_sound("stereo24.flac", 5000, 2, 24, 48000, subtype="PCM_24", format="FLAC", compression_level=1.0)
    write_sound("mono8.flac", 700, 1, 8, 8000, subtype="PCM_S8", format="FLAC", compression_level=0.0)
    write_sound("six16.flac", 600, 6, 16, 44100, subtype="PCM_16", format="FLAC")

    base = colours(7, 5)
    grey = base.convert("L")
    stills = {"rgb": base, "grey": grey, "bits1": grey.point(lambda v: 255 * (v > 99)).convert("1")}
    stills["palette"] = base.quantize(16)
    for name, picture in stills.items():
        picture.save(HERE / f"{name}.png")
        store(f"{name}.png", picture)
    (HERE / "adam7.png").write_bytes(adam7_png(colours(19, 13)))
    store("adam7.png", Image.open(HERE / "adam7.png"))
    # Alpha over white, as Pillow composites it.
    alpha = Image.fromarray((np.mgrid[0:5, 0:7][1] * 42).astype(np.uint8), "L")
    rgba = base.copy()
    rgba.putalpha(alpha)
    rgba.save(HERE / "rgba.png")
    store("rgba.png", Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba))
    grey_alpha = Image.merge("LA", (grey, alpha))
    grey_alpha.save(HERE / "grey_alpha.png")
    store("grey_alpha.png", Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), grey_alpha.convert("RGBA")).convert("L"))
    deep = np.asarray(grey).astype(np.uint16) * 256 + np.arange(35, dtype=np.uint16).reshape(5, 7) * 7
    Image.fromarray(deep).save(HERE / "grey16.png")
    nearest = np.rint(deep.astype(np.float64) * 255 / 65535).astype(np.uint8)
    store("grey16.png", Image.fromarray(nearest, "L"))

    picture = smooth(37, 29)
    for name, options in {
        "j444": {"subsampling": 0},
        "j420": {"subsampling": 2},
        "progressive": {"progressive": True, "subsampling": 0},
        "restart": {"subsampling": 0, "restart_marker_rows": 1},
    }.items():
        picture.save(HERE / f"{name}.jpg", quality=95, **options)
        store(f"{name}.jpg", Image.open(HERE / f"{name}.jpg"))
    picture.convert("L").save(HERE / "jgrey.jpg", quality=95)
    store("jgrey.jpg", Image.open(HERE / "jgrey.jpg"))
    picture.convert("CMYK").save(HERE / "cmyk.jpg", quality=95)
    store("cmyk.jpg", Image.open(HERE / "cmyk.jpg"))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        base.save(HERE / f"turned{orientation}.png", exif=exif)
        store(f"turned{orientation}.png", ImageOps.exif_transpose(Image.open(HERE / f"turned{orientation}.png")))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(HERE / "turned6.jpg", quality=95, subsampling=0, exif=exif)
    store("turned6.jpg", ImageOps.exif_transpose(Image.open(HERE / "turned6.jpg")))


if __name__ == "__main__":
    main()
