from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from runtime_fixtures import crop_bytes

from saliency.cropping.options import Output
from saliency.errors import PhotoError
from saliency.geometry import Window
from saliency.photo.reading import load_photo

ANIMATED = {"gif": "gif", "webp": "webp", "png": "png", "avif": "avif"}
WINDOW = Window(8, 4, 24, 16)


def frames(count=4, mode="RGB"):
    """Return pictures with a bright square that moves to the right."""
    pictures = []
    for index in range(count):
        values = np.full((32, 48, 3), 20, dtype=np.uint8)
        values[8:16, 8 + 4 * index : 16 + 4 * index] = (250, 200, 50)
        pictures.append(Image.fromarray(values).convert(mode))
    return pictures


def animation(path, mode="RGB"):
    first, *others = frames(mode=mode)
    kept = {} if path.suffix == ".avif" else {"loop": 2}
    quality = {"lossless": True} if path.suffix == ".webp" else {}
    first.save(
        path, save_all=True, append_images=others, duration=[40, 80, 120, 160], **kept, **quality
    )
    return load_photo(path)


def read(data):
    """Return the frames of a file, and how long each is shown."""
    image = Image.open(BytesIO(data))
    pictures, durations = [], []
    for index in range(getattr(image, "n_frames", 1)):
        image.seek(index)
        pictures.append(np.asarray(image.convert("RGB")).astype(int))
        durations.append(image.info.get("duration"))
    return image, pictures, durations


@pytest.mark.parametrize("suffix", ANIMATED)
def test_all_frames_are_cropped_by_one_window(tmp_path, suffix):
    photo = animation(tmp_path / f"photo.{suffix}")
    image, pictures, durations = read(crop_bytes(photo, WINDOW, ANIMATED[suffix]))
    assert image.size == (24, 16)
    assert durations == pytest.approx([40, 80, 120, 160])
    for frame, picture in zip(frames(), pictures, strict=True):
        inside = np.asarray(frame)[4:20, 8:32].astype(int)
        assert abs(inside - picture).mean() < 6  # AVIF and WebP lose a little


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animation_is_played_as_often(tmp_path, suffix):
    photo = animation(tmp_path / f"photo.{suffix}")
    image, _, _ = read(crop_bytes(photo, WINDOW, ANIMATED[suffix]))
    assert image.info["loop"] == 2


@pytest.mark.parametrize("suffix", ANIMATED)
def test_frames_are_resized(tmp_path, suffix):
    photo = animation(tmp_path / f"photo.{suffix}")
    data = crop_bytes(photo, WINDOW, ANIMATED[suffix], output=Output(max_size=12))
    image, pictures, _ = read(data)
    assert (image.size, len(pictures)) == ((12, 8), 4)


def test_gif_keeps_the_colours_of_its_palette(tmp_path):
    photo = animation(tmp_path / "photo.gif")
    _, pictures, _ = read(crop_bytes(photo, WINDOW, "gif"))
    for frame, picture in zip(photo.frames, pictures, strict=True):
        np.testing.assert_array_equal(np.asarray(frame.image.convert("RGB"))[4:20, 8:32], picture)


def test_format_without_animation_shows_the_first_frame(tmp_path):
    photo = animation(tmp_path / "photo.gif")
    _, (picture,), _ = read(crop_bytes(photo, WINDOW, "jpeg"))
    assert abs(np.asarray(frames()[0])[4:20, 8:32].astype(int) - picture).mean() < 6


def test_still_photo_has_no_frames(tmp_path):
    frames()[0].save(tmp_path / "photo.gif")
    assert load_photo(tmp_path / "photo.gif").frames == ()


def test_animation_with_too_many_pixels_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("saliency.photo.reading.MOST_PIXELS", 4 * 48 * 32 - 1)
    with pytest.raises(PhotoError, match="in all frames together"):
        animation(tmp_path / "photo.gif")
