import pytest

from saliency.photo.metadata.xmp import crop_xmp

RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
NAMES = {
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
}


def packet(content="", attributes=""):
    spaces = " ".join(f'xmlns:{name}="{uri}"' for name, uri in NAMES.items())
    return (
        f'<?xpacket begin="\ufeff" id="x"?><rdf:RDF {RDF}><rdf:Description {spaces} {attributes}>'
        f'{content}</rdf:Description></rdf:RDF><?xpacket end="w"?>'
    ).encode()


def cropped(content="", attributes="", *, orientation=1):
    return crop_xmp(packet(content, attributes), (20, 10), orientation=orientation).decode()


def test_sizes_and_orientation_are_set_in_elements_and_attributes():
    text = cropped(
        "<tiff:ImageLength>99</tiff:ImageLength><exif:PixelXDimension>98</exif:PixelXDimension>",
        'tiff:Orientation="6"',
        orientation=3,
    )
    assert "<tiff:ImageLength>10</tiff:ImageLength>" in text
    assert "<exif:PixelXDimension>20</exif:PixelXDimension>" in text
    assert 'tiff:Orientation="3"' in text


@pytest.mark.parametrize(
    "content",
    [
        "<mwg-rs:Regions><rdf:Bag>face</rdf:Bag></mwg-rs:Regions>",
        "<xmp:Thumbnails>face</xmp:Thumbnails>",
        "<crs:CropTop>face</crs:CropTop>",
    ],
)
def test_what_only_the_whole_photo_is_goes(content):
    text = cropped(f"<dc:title>kept</dc:title>{content}")
    assert "kept" in text
    assert "face" not in text


def test_packet_keeps_its_marks():
    text = cropped("<dc:title>kept</dc:title>")
    assert text.startswith("<?xpacket begin=")
    assert text.endswith('<?xpacket end="w"?>')


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"<rdf",
        b"\xff\xfe\0",
        b"<a><b></a>",
        packet()[:-40],
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b"<a>" * 100_000,
    ],
)
def test_packet_that_cannot_be_trusted_is_left_out(damaged):
    assert crop_xmp(damaged, (20, 10), orientation=1) == b""
