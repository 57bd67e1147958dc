"""XMP packets: correct, for a crop, what describes the whole photo."""

from xml.dom import Node, minidom
from xml.parsers.expat import ExpatError

from saliency.geometry import Size

_TIFF = "http://ns.adobe.com/tiff/1.0/"
_EXIF = "http://ns.adobe.com/exif/1.0/"
_UNTRUE_NAMESPACES = (
    "http://ns.google.com/photos/1.0/",  # panorama angles, depth, pictures behind the photo
    "http://www.metadataworkinggroup.com/schemas/regions/",
    "http://ns.microsoft.com/photo/1.2/",  # regions too
    "http://ns.adobe.com/camera-raw-settings/1.0/",  # its own crop
    "http://ns.adobe.com/hdr-gain-map/1.0/",
    "http://ns.apple.com/",
    "http://ns.adobe.com/xmp/note/",  # the rest of a packet too long for one segment
)
_UNTRUE_NAMES = {
    ("http://ns.adobe.com/xap/1.0/", "Thumbnails"),
    ("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "ImageRegion"),
    (_EXIF, "SubjectArea"),
    (_EXIF, "SubjectLocation"),
}
_BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_END = '\n<?xpacket end="w"?>'
_MOST_BYTES = 4_000_000


def crop_xmp(packet: bytes, size: Size, *, orientation: int) -> bytes:
    """Return an XMP packet as it is true of a crop; empty where it cannot be read.

    Sizes and orientation are set. Panorama angles, face regions, thumbnails, gain maps and the
    settings of raw converters are left out.

    Args:
        packet: as it is in the photo.
        size: width and height of the crop as it is stored.
        orientation: how a viewer has to turn the crop, as in EXIF.
    """
    # An XMP packet declares no entities; what does may be made to grow without end.
    if len(packet) > _MOST_BYTES or b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return b""
    try:
        document = minidom.parseString(packet.strip(b"\0 \r\n\t"))
    except (ExpatError, ValueError, LookupError, AttributeError, RecursionError):
        return b""
    values = {
        (_TIFF, "Orientation"): orientation,
        (_TIFF, "ImageWidth"): size[0],
        (_TIFF, "ImageLength"): size[1],
        (_EXIF, "PixelXDimension"): size[0],
        (_EXIF, "PixelYDimension"): size[1],
    }
    for element in list(document.getElementsByTagName("*")):
        for attribute in list(element.attributes.values()):
            name = attribute.namespaceURI, attribute.localName
            if _is_untrue(name):
                element.removeAttributeNode(attribute)
            elif name in values:
                attribute.value = str(values[name])
        name = element.namespaceURI, element.localName
        if _is_untrue(name) and element.parentNode is not None:
            element.parentNode.removeChild(element)
        elif name in values:
            _remove_text(element)
            element.appendChild(document.createTextNode(str(values[name])))
    root = document.documentElement
    return f"{_BEGIN}{root.toxml()}{_END}".encode() if root is not None else b""


def _is_untrue(name: tuple[str | None, str | None]) -> bool:
    """Return whether a property is true of the whole photo only."""
    namespace = name[0] or ""
    return name in _UNTRUE_NAMES or namespace.startswith(_UNTRUE_NAMESPACES)


def _remove_text(element: minidom.Element) -> None:
    """Remove the content of an element."""
    for child in list(element.childNodes):
        if child.nodeType in (Node.TEXT_NODE, Node.CDATA_SECTION_NODE):
            element.removeChild(child)
