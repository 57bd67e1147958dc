import os
import re
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image, ImageCms
from runtime_fixtures import dark_photo, quarters

from saliency.errors import PhotoError
from saliency.photo.pixels import pixel_size
from saliency.photo.reading import load_photo, read_photo, to_srgb

# How a viewer turns what is stored: EXIF 2.32, tag 0x0112, in numpy's words.
VIEWERS = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: np.rot90(np.fliplr(stored)),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(np.fliplr(stored), -1),
    8: np.rot90,
}


def oriented(path, orientation, image=None, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    (image or quarters()).save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize("orientation", VIEWERS)
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_photo_is_upright_as_a_viewer_shows_it(tmp_path, orientation, suffix):
    path = oriented(tmp_path / f"photo.{suffix}", orientation, lossless=True)
    upright = VIEWERS[orientation](np.asarray(quarters()))
    np.testing.assert_array_equal(read_photo(path), upright)
    assert load_photo(path).size == upright.shape[1::-1]


@pytest.mark.parametrize("orientation", VIEWERS)
def test_reduced_jpeg_is_upright_and_knows_its_full_size(tmp_path, orientation):
    path = oriented(tmp_path / "photo.jpg", orientation, quarters(480, 320), quality=95)
    upright = VIEWERS[orientation](np.asarray(quarters(480, 320)))
    photo = load_photo(path, lambda size: (size[0] // 4, size[1] // 4))
    assert photo.size == upright.shape[1::-1]
    assert pixel_size(photo.pixels) == (photo.size[0] // 4, photo.size[1] // 4)
    middles = np.asarray(photo.pixels)[20::40, 20::40].astype(int)  # away from the borders
    assert abs(middles - upright[80::160, 80::160][: len(middles), : middles.shape[1]]).max() < 12


def test_unknown_orientation_counts_as_upright(tmp_path):
    path = oriented(tmp_path / "photo.png", 9)
    np.testing.assert_array_equal(read_photo(path), np.asarray(quarters()))


def test_jpeg_is_never_decoded_below_the_size_asked_for(tmp_path):
    quarters(400, 300).save(tmp_path / "photo.jpg")
    photo = load_photo(tmp_path / "photo.jpg", lambda _: (101, 75))
    assert pixel_size(photo.pixels) == (200, 150)


def test_photo_is_shrunk_to_the_size_asked_for(tmp_path):
    quarters(400, 300).save(tmp_path / "photo.png")
    assert to_srgb(load_photo(tmp_path / "photo.png"), (100, 90)).shape == (90, 100, 3)


def grey(mode):
    return quarters().convert("L").convert(mode)


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_grey_photo_has_three_equal_channels(tmp_path, mode):
    grey(mode).save(tmp_path / "photo.png")
    photo = read_photo(tmp_path / "photo.png")
    expected = np.asarray(grey(mode).convert("L"))
    assert photo.dtype == np.uint8
    np.testing.assert_array_equal(photo, np.repeat(expected[..., np.newaxis], 3, axis=2))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_grey_keeps_its_upper_half(tmp_path, suffix):
    values = np.arange(0, 65536, 32, dtype=np.uint16).reshape(32, 64)
    Image.fromarray(values).save(tmp_path / f"photo.{suffix}")
    photo = read_photo(tmp_path / f"photo.{suffix}")
    np.testing.assert_array_equal(photo[..., 1], values // 256)


def test_palette_photo_has_the_colours_of_its_palette(tmp_path):
    quarters().quantize(4).save(tmp_path / "photo.png")
    np.testing.assert_allclose(read_photo(tmp_path / "photo.png"), np.asarray(quarters()), atol=4)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_are_white(tmp_path, mode):
    image = Image.new("RGB", (4, 2), (60, 60, 60))
    image.putalpha(Image.fromarray(np.array([[0, 0, 255, 255]] * 2, dtype=np.uint8)))
    image.convert(mode).save(tmp_path / "photo.png")
    photo = read_photo(tmp_path / "photo.png")
    assert (photo[:, :2] == 255).all()
    assert (photo[:, 2:] == 60).all()


def test_transparent_palette_entry_is_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    image.save(tmp_path / "photo.png", transparency=0)
    np.testing.assert_array_equal(read_photo(tmp_path / "photo.png"), [[[255] * 3, [40, 50, 60]]])


def test_cmyk_photo_keeps_its_colours_roughly(tmp_path):
    quarters().convert("CMYK").save(tmp_path / "photo.jpg", quality=95)
    photo = read_photo(tmp_path / "photo.jpg").astype(int)
    assert abs(photo[8::16, 12::24] - np.asarray(quarters())[8::16, 12::24]).max() < 12


def swapped_profile():
    """Return the profile of a space whose first channel is green and second one red."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = data.index(b"rXYZ"), data.index(b"gXYZ")
    data[red : red + 4], data[green : green + 4] = b"gXYZ", b"rXYZ"
    start = data.index("sRGB".encode("utf-16-be"))
    data[start : start + 8] = "Swap".encode("utf-16-be")
    return bytes(data)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_are_converted_from_the_photos_own_profile(tmp_path, mode):
    image = quarters().convert(mode)
    image.save(tmp_path / "photo.png", icc_profile=swapped_profile())
    expected = np.asarray(quarters())[..., [1, 0, 2]]
    np.testing.assert_allclose(read_photo(tmp_path / "photo.png"), expected, atol=8)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_profile_that_cannot_be_used_is_passed_over(tmp_path, mode):
    image = quarters().convert(mode)
    for number, profile in enumerate([b"no profile", swapped_profile()[:300]]):
        image.save(tmp_path / f"{number}.png", icc_profile=profile)
        expected = np.asarray(image.convert("RGB"))
        np.testing.assert_array_equal(read_photo(tmp_path / f"{number}.png"), expected)


def test_damaged_exif_does_not_spoil_the_photo(tmp_path):
    dark_photo(16, 8, bright=(0, 0, 4, 4)).save(tmp_path / "photo.jpg", exif=b"Exif\0\0II*\0junk")
    assert read_photo(tmp_path / "photo.jpg").shape == (8, 16, 3)


def refusal(path):
    """Return the one line that says why a photo is refused, less its path."""
    with pytest.raises(PhotoError) as caught:
        read_photo(path)
    (line,) = str(caught.value).splitlines()
    before, named, after = line.partition(str(path))
    return before + after if named else ""


def test_missing_file_is_refused(tmp_path):
    message = refusal(tmp_path / "none.jpg")
    assert message.startswith("cannot read ")
    assert "No such file" in message


def test_folder_is_refused(tmp_path):
    assert "got the folder" in refusal(tmp_path)


def test_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "photo.jpg")
    assert "a device or a pipe" in refusal(tmp_path / "photo.jpg")


def test_empty_file_is_refused(tmp_path):
    (tmp_path / "photo.jpg").touch()
    assert "empty file" in refusal(tmp_path / "photo.jpg")


def test_text_named_like_a_photo_is_refused(tmp_path):
    (tmp_path / "photo.jpg").write_text("not a photo")
    assert "expected a JPEG, PNG, WebP" in refusal(tmp_path / "photo.jpg")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp", "gif"])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.6, 0.95])
def test_photo_cut_short_is_refused_or_known_to_be(tmp_path, suffix, share):
    path = tmp_path / f"photo.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, size=(64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with suppress(PhotoError):
        assert [fault.kind for fault in load_photo(path).faults] == ["truncated"]
        return
    assert re.search("damaged|is none of them", refusal(path))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "gif"])
def test_damaged_photo_is_read_or_refused_and_nothing_else(tmp_path, suffix, seed):
    path = tmp_path / f"photo.{suffix}"
    oriented(path, 6)
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for place in rng.integers(4, len(data), size=6):
        data[place] = rng.integers(256)
    path.write_bytes(data)
    with suppress(PhotoError):
        assert read_photo(path).shape[2] == 3


def test_photo_with_too_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    Image.new("1", (30_000, 30_000)).save(tmp_path / "bomb.png")
    assert "at most 178 megapixels" in refusal(tmp_path / "bomb.png")


def test_floating_point_photo_is_refused(tmp_path):
    Image.fromarray(np.ones((4, 4), dtype=np.float32)).save(tmp_path / "photo.tif")
    assert "whole-number pixels" in refusal(tmp_path / "photo.tif")
