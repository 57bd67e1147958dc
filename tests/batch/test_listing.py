import os
from pathlib import Path

import pytest

from saliency.batch.listing import ListedPhoto, find_photos, read_list, write_list
from saliency.errors import PhotoError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.jpg", "inner/c.webp", ".git/d.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def found(folder, labels=(), **options):
    return [
        (str(one.path.relative_to(folder)), str(one.folder))
        for one in find_photos([folder], list(labels), **options)
    ]


def test_folder_stands_for_its_visible_photos_by_name(folder):
    assert found(folder) == [("a.JPG", "."), ("b.png", ".")]


def test_folders_inside_come_with_their_place_but_hidden_ones_do_not(folder):
    photos = found(folder, is_recursive=True)
    assert photos == [("a.JPG", "."), ("b.png", "."), ("inner/c.webp", "inner")]


def test_output_folder_is_not_searched(folder):
    photos = found(folder, is_recursive=True, output_dir=folder / "inner")
    assert photos == [("a.JPG", "."), ("b.png", ".")]


def test_pages_of_an_earlier_contact_sheet_are_no_photos(folder):
    for name in ("sheet.jpg", "sheet-2.jpg", "sheet-2b.jpg"):
        (folder / name).touch()
    photos = found(folder, contact_sheet=folder / "sheet.jpg")
    assert photos == [("a.JPG", "."), ("b.png", "."), ("sheet-2b.jpg", ".")]


def test_photo_called_like_a_page_is_one_while_there_is_no_sheet(folder):
    (folder / "sheet-2.jpg").touch()
    assert ("sheet-2.jpg", ".") in found(folder, contact_sheet=folder / "sheet.jpg")


def test_link_to_a_folder_is_not_followed(folder):
    (folder / "inner" / "up").symlink_to(folder)
    assert len(found(folder, is_recursive=True)) == 3


@pytest.mark.parametrize("made", ["a-16x9.jpg", "a-16x9-2.jpg", "a-overlay.png"])
def test_crops_and_overlays_of_others_are_no_photos(folder, made):
    (folder / made).touch()
    assert [name for name, _ in found(folder, ["16:9"])] == ["a.JPG", "b.png"]


@pytest.mark.parametrize("own", ["a-1x1.jpg", "a-2.jpg", "z-16x9.jpg"])
def test_photo_that_is_called_like_a_crop_of_nothing_stays(folder, own):
    (folder / own).touch()
    assert own in [name for name, _ in found(folder, ["16:9"])]


def test_file_and_folder_without_photos_stand_for_themselves(tmp_path):
    (tmp_path / "empty").mkdir()
    paths = [tmp_path / "any.xyz", tmp_path / "empty"]
    assert find_photos(paths, []) == [ListedPhoto(path) for path in paths]


def test_folder_that_is_gone_while_it_is_read_is_an_error(folder, monkeypatch):
    def fail(_):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(Path, "iterdir", fail)
    with pytest.raises(PhotoError, match=r"cannot read the folder .*: No such file"):
        find_photos([folder], [])


@pytest.mark.parametrize("is_null_separated", [False, True])
def test_list_is_read_as_it_was_written(is_null_separated):
    paths = [Path("a b.jpg"), Path(os.fsdecode(b"caf\xe9.jpg"))]
    written = write_list(paths, is_null_separated=is_null_separated)
    assert read_list(written, is_null_separated=is_null_separated) == paths


def test_list_may_have_empty_lines_and_those_of_windows():
    assert read_list(b"a.jpg\r\n\nb.jpg") == [Path("a.jpg"), Path("b.jpg")]


def test_line_breaks_in_names_survive_between_nuls():
    assert read_list(b"a\nb.jpg\0", is_null_separated=True) == [Path("a\nb.jpg")]
