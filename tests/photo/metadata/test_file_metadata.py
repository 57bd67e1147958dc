from io import BytesIO

import piexif
import pytest
from PIL import Image
from runtime_fixtures import crop_bytes, quarters

from saliency.geometry import Window
from saliency.photo.reading import load_photo

XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" tiff:Orientation="6" tiff:ImageWidth="48"
 GPano:FullPanoWidthPixels="4000"><dc:title>T\xc3\xbcr</dc:title></rdf:Description></rdf:RDF>
</x:xmpmeta>"""
IPTC = b"\x1c\x02\x50\0\x05Maker"
WINDOW = Window(2, 4, 20, 24)


def photo_in(path, **options):
    quarters().save(path, **options)
    return load_photo(path)


def opened(data):
    image = Image.open(BytesIO(data))
    image.load()
    return image


def xmp_options(suffix):
    if suffix == "tif":
        return {"tiffinfo": {700: XMP}}
    if suffix != "png":
        return {"xmp": XMP}
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return {"pnginfo": info}


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif", "tif"])
def test_xmp_stays_and_is_true_of_the_crop(tmp_path, suffix):
    photo = photo_in(tmp_path / f"photo.{suffix}", **xmp_options(suffix))
    formats = {"jpg": "jpeg", "tif": "tiff"}
    crop = opened(crop_bytes(photo, WINDOW, formats.get(suffix, suffix)))
    packet = crop.info["xmp"]
    assert "Tür".encode() in packet
    assert b'tiff:Orientation="6"' not in packet
    assert b'tiff:ImageWidth="20"' in packet
    assert b"4000" not in packet


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_iptc_stays(tmp_path, suffix):
    from PIL import IptcImagePlugin

    segment = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + len(IPTC).to_bytes(4) + IPTC
    extra = b"\xff\xed" + (len(segment) + 2).to_bytes(2) + segment
    options = {"extra": extra} if suffix == "jpg" else {"tiffinfo": {33723: IPTC}}
    photo = photo_in(tmp_path / f"photo.{suffix}", **options)
    for as_format in ("jpeg", "tiff"):
        crop = opened(crop_bytes(photo, WINDOW, as_format))
        assert IptcImagePlugin.getiptcinfo(crop)[2, 80] == b"Maker"


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_resolution_stays(tmp_path, suffix):
    photo = photo_in(tmp_path / f"photo.{suffix}", dpi=(240, 240))
    formats = {"jpg": "jpeg", "tif": "tiff", "png": "png"}
    crop = opened(crop_bytes(photo, WINDOW, formats[suffix]))
    assert crop.info["dpi"] == pytest.approx((240, 240), rel=1e-3)


def camera_exif(note=b"notes"):
    blocks = {
        "0th": {piexif.ImageIFD.Make: "Camera", piexif.ImageIFD.Orientation: 1},
        "Exif": {
            piexif.ExifIFD.SubjectArea: (24, 16, 4, 4),
            piexif.ExifIFD.MakerNote: note,
            piexif.ExifIFD.LensModel: "Lens",
        },
        "GPS": {piexif.GPSIFD.GPSLatitudeRef: "N"},
    }
    return piexif.dump(blocks)


def kept_exif(data):
    return piexif.load(opened(data).info["exif"])


def test_places_in_the_photos_pixels_are_left_out(tmp_path):
    photo = photo_in(tmp_path / "photo.jpg", exif=camera_exif())
    details = kept_exif(crop_bytes(photo, WINDOW, "jpeg"))["Exif"]
    assert piexif.ExifIFD.SubjectArea not in details
    assert details[piexif.ExifIFD.LensModel] == b"Lens"
    assert bytes(details[piexif.ExifIFD.MakerNote]) == b"notes"


def test_makers_notes_with_a_picture_of_the_whole_are_left_out(tmp_path):
    photo = photo_in(tmp_path / "photo.jpg", exif=camera_exif(b"\xff\xd8\xff\xe0picture"))
    details = kept_exif(crop_bytes(photo, WINDOW, "jpeg"))["Exif"]
    assert piexif.ExifIFD.MakerNote not in details


@pytest.mark.parametrize("as_format", ["jpeg", "png", "webp", "avif", "tiff", "gif"])
def test_stripped_crop_carries_nothing_but_its_profile(tmp_path, as_format):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = photo_in(
        tmp_path / "photo.jpg", exif=camera_exif(), xmp=XMP, icc_profile=profile, comment=b"here"
    )
    data = crop_bytes(photo, WINDOW, as_format, stripped=True)
    words = (b"Camera", b"Lens", "Tür".encode(), b"here")
    assert [word for word in words if word in data] == []
    assert opened(data).info.get("icc_profile") == (None if as_format == "gif" else profile)


def test_profile_too_long_for_a_segment_takes_several(tmp_path):
    profile = bytes(range(256)) * 600
    photo = photo_in(tmp_path / "photo.jpg", icc_profile=profile)
    assert opened(crop_bytes(photo, WINDOW, "jpeg")).info["icc_profile"] == profile


def test_exif_too_long_for_a_segment_is_left_out_of_a_jpeg(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "long " * 14_000
    photo = photo_in(tmp_path / "photo.png", exif=exif)
    assert "exif" not in opened(crop_bytes(photo, WINDOW, "jpeg")).info
    assert len(opened(crop_bytes(photo, WINDOW, "png")).info["exif"]) > 65_533
