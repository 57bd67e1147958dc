from pathlib import Path

import pytest

from saliency.errors import PhotoError
from saliency.files import is_url, url_of

pytest.importorskip("pyarrow", reason="needs the extra ray")
fsspec = pytest.importorskip("fsspec", reason="needs the extra ray")

from saliency import object_store  # noqa: E402
from saliency.object_store import list_urls, read_url  # noqa: E402


@pytest.mark.parametrize("url", ["s3://bucket/a/b.jpg", "file:///tmp/a.jpg", "memory://x/y.png"])
def test_url_survives_being_a_path(url):
    assert is_url(Path(url))
    assert url_of(Path(url)) == url
    assert url_of(Path(url).with_name("c.jpg")).endswith("/c.jpg")


@pytest.mark.parametrize("name", ["a/b.jpg", "/a.jpg", "C:/a.jpg", "a:b.jpg"])
def test_file_is_no_url(name):
    assert not is_url(Path(name))
    assert url_of(Path(name)) == name


FILES = {"b.jpg": b"b", "sub/a.PNG": b"a", "notes.txt": b"n", "e.jpg": b""}


@pytest.fixture(params=["file", "memory"])
def store(request, tmp_path):
    """A folder of a store that pyarrow has itself, and of one that fsspec has."""
    if request.param == "memory":
        fsspec.filesystem("memory").pipe({f"/shop/{name}": data for name, data in FILES.items()})
        return Path("memory://shop")
    (tmp_path / "sub").mkdir()
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    return Path(f"file://{tmp_path}")


def test_photos_of_a_folder_are_listed_and_read(store):
    suffixes = [".jpg", ".png"]
    assert [one.name for one in list_urls(store, suffixes, is_recursive=False)] == [
        "b.jpg",
        "e.jpg",
    ]
    found = list_urls(store, suffixes, is_recursive=True)
    assert [str(one.relative_to(store)) for one in found] == ["b.jpg", "e.jpg", "sub/a.PNG"]
    assert read_url(found[2]) == b"a"
    assert list_urls(found[0], suffixes, is_recursive=False) == [found[0]]


def test_file_that_is_missing_or_empty_is_named(store):
    with pytest.raises(PhotoError, match=r"cannot read .*://.*gone.jpg"):
        read_url(store / "gone.jpg")
    with pytest.raises(PhotoError, match=r"got the empty file .*://.*e.jpg"):
        read_url(store / "e.jpg")


def test_missing_credentials_name_the_remedy(monkeypatch):
    class Store:
        def open_input_stream(self, place):
            raise OSError("AWS Error ACCESS_DENIED during HeadObject operation: No response body.")

    monkeypatch.setattr(object_store, "_store", lambda *_: (Store(), True))
    with pytest.raises(
        PhotoError, match=r"ACCESS_DENIED.*; give every node the store's credential"
    ):
        read_url(Path("s3://bucket/a.jpg"))


def test_scheme_that_nobody_knows_is_refused():
    with pytest.raises(PhotoError, match="cannot read nosuch://bucket: Protocol not known"):
        read_url(Path("nosuch://bucket/a.jpg"))
