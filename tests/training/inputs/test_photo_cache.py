"""Facts about the cache of decoded photos."""

import numpy as np
import pytest
from PIL import Image

from saliency.errors import PhotoError
from saliency.files import cache_folder, content_hash
from saliency.training.inputs import photo_cache as cache
from saliency.training.inputs.example_dataset import ExampleDataset
from saliency.training.inputs.photo_cache import PhotoCache, decode
from saliency.training.inputs.sampling import Draw, cache_side
from saliency.training.inputs.source import Source


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def photos(tmp_path):
    return PhotoCache(tmp_path / "cache", side=200)


def entries(photos):
    return sorted(photos.folder.rglob("*.npy"))


def test_photo_is_decoded_once(photo, photos, monkeypatch):
    first = photos.read(photo)
    monkeypatch.setattr(cache, "decode", lambda *_: pytest.fail("decoded again"))
    assert np.array_equal(photos.read(photo), first)
    assert np.array_equal(first, decode(photo, 200))


def test_photo_that_changes_is_decoded_anew(photo, photos):
    before = photos.read(photo)
    Image.new("RGB", (90, 60), (1, 2, 3)).save(photo)
    after = photos.read(photo)
    assert not np.array_equal(after, before)
    assert (after == (1, 2, 3)).all()


def test_photo_that_moves_is_not_decoded_anew(photo, photos, monkeypatch):
    first = photos.read(photo)
    moved = photo.rename(photo.with_name("moved.png"))
    monkeypatch.setattr(cache, "decode", lambda *_: pytest.fail("decoded again"))
    assert np.array_equal(photos.read(moved), first)


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x93NUMPY\x01\x00v\x00{'descr'"])
def test_damaged_entry_is_made_anew(photo, photos, content):
    first = photos.read(photo)
    (entry,) = entries(photos)
    entry.write_bytes(content)
    assert np.array_equal(photos.read(photo), first)
    assert np.array_equal(np.load(entry), first)


def test_entry_that_is_cut_off_is_made_anew(photo, photos):
    first = photos.read(photo)
    (entry,) = entries(photos)
    entry.write_bytes(entry.read_bytes()[:-100])
    assert np.array_equal(photos.read(photo), first)


def test_cache_may_be_deleted_at_any_time(photo, photos):
    first = photos.read(photo)
    for entry in entries(photos):
        entry.unlink()
        entry.parent.rmdir()
    assert np.array_equal(photos.read(photo), first)


def test_large_jpeg_is_kept_no_larger_than_needed(tmp_path):
    Image.new("RGB", (1600, 1200)).save(tmp_path / "large.jpg")
    kept = PhotoCache(tmp_path / "cache", side=200).read(tmp_path / "large.jpg")
    assert 200 <= max(kept.shape) < 1600


def test_photo_that_is_missing_is_named(tmp_path, photos):
    with pytest.raises(PhotoError, match="nowhere"):
        photos.read(tmp_path / "nowhere.png")


def test_side_must_be_positive(tmp_path):
    with pytest.raises(ValueError, match="got 0"):
        PhotoCache(tmp_path, side=0)


def test_examples_are_the_same_with_and_without_a_cache(photo, tmp_path):
    made = Source(photo, 90, 60, np.array([(30.0, 20.0), (60.0, 40.0), (45.0, 30.0)]))
    draw = Draw(0, (32, 48), (1, 2, 3))
    kept = PhotoCache(tmp_path / "cache", side=cache_side(32 * 48))
    plain = ExampleDataset([made], teacher_weight=0.0)[draw]
    for _ in range(2):
        cached = ExampleDataset([made], teacher_weight=0.0, cache=kept)[draw]
        assert all(bool((a == b).all()) for a, b in zip(plain, cached, strict=True))


def test_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "saliency"


def test_hash_is_of_the_content(photo):
    copy = photo.with_name("copy.png")
    copy.write_bytes(photo.read_bytes())
    assert content_hash(copy) == content_hash(photo)
