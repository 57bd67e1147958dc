"""Photo files that are not what they should be."""

import zlib
from io import BytesIO

import numpy as np
from PIL import Image
from runtime_fixtures import dark_photo

KINDS = (
    *("jpeg", "progressive jpeg", "png", "webp", "avif", "tiff"),
    *("gif", "animated gif", "bmp", "heic"),
)
"""Ten kinds, which share the mutated files: 1,000, or as many as --mutated-files says."""


def small_photo(kind):
    """Return the bytes of a small photo with an EXIF, and with a thumbnail where it may be."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", 6
    image = dark_photo(40, 24, bright=(22, 4, 36, 20))
    name = kind.split()[-1]
    options = {"exif": exif} if name not in ("gif", "bmp") else {}
    if kind == "progressive jpeg":
        options["progressive"] = True
    if kind == "animated gif":
        options = {"save_all": True, "append_images": [image.rotate(90), image.rotate(180)]}
    if name == "heic":
        import pillow_heif

        pillow_heif.register_heif_opener()
    buffer = BytesIO()
    image.save(buffer, "heif" if name == "heic" else name, **options)
    return buffer.getvalue()


def mutated(data, rng):
    """Return a file with bytes changed, a part taken out, doubled or zeroed, or its end missing."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        start = int(rng.integers(len(changed)))
        length = int(rng.integers(1, 9))
        what = rng.integers(6)
        if what <= 1:
            changed[start : start + length] = rng.bytes(len(changed[start : start + length]))
        elif what == 2:
            del changed[start : start + length]
        elif what == 3:
            changed[start:start] = changed[start : start + length]
        elif what == 4:
            changed[start : start + length] = b"\xff" * len(changed[start : start + length])
        else:
            del changed[max(start, 16) :]
    return bytes(changed)


def write_noise(path, size=(64, 48)):
    values = np.random.default_rng(0).integers(0, 256, size=(size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return path.read_bytes()


def cut_short(path):
    path.write_bytes(write_noise(path)[:-700])


def header_that_lies(path):
    data = bytearray(write_noise(path))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = b"\xfa\0\xfa\0"  # 64000 by 64000 pixels
    path.write_bytes(data)


def png_bomb(path):
    Image.new("1", (1, 1)).save(path, "png")
    data = bytearray(path.read_bytes())
    data[16:24] = (30_000).to_bytes(4) * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    path.write_bytes(data)


def with_hole(path):
    """Write a PNG photo some of whose pixels are damaged, which its checksum tells."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path, "png")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def with_lost_bytes(path):
    """Write a JPEG photo of whose data a part is lost in the middle, which libjpeg tells."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path, "jpeg")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + data[len(data) // 2 + 60 :])


def cut_short_in_scans(path):
    """Write a progressive JPEG photo whose last scans are missing."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path, "jpeg", progressive=True)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


def with_something_behind(path):
    Image.new("RGB", (64, 64)).save(path, "jpeg")
    path.write_bytes(path.read_bytes() + b"something else")
