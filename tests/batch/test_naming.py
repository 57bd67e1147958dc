from pathlib import Path

import pytest

from saliency.batch.naming import (
    CANDIDATE_PATTERN,
    DEFAULT_PATTERN,
    crop_name,
    names_candidates,
    parse_pattern,
)


def test_crop_is_called_after_photo_and_ratio():
    assert crop_name(Path("holiday/sea.view.jpg"), "1.91:1", "png") == Path("sea.view-1.91x1.png")


def test_folder_of_the_photo_may_be_part_of_the_name():
    pattern = parse_pattern("{parent}/{stem}.{ext}")
    assert crop_name(Path("holiday/sea.jpg"), "1:1", "jpg", pattern) == Path("holiday/sea.jpg")


def test_braces_in_a_photos_name_stay():
    assert crop_name(Path("{aspect}.jpg"), "1:1", "jpg") == Path("{aspect}-1x1.jpg")


def test_candidates_are_numbered_where_the_pattern_says_so():
    named = crop_name(Path("sea.jpg"), "1:1", "jpg", CANDIDATE_PATTERN, candidate=2)
    assert named == Path("sea-1x1-2.jpg")
    assert names_candidates(CANDIDATE_PATTERN)
    assert not names_candidates(DEFAULT_PATTERN)


@pytest.mark.parametrize(
    "pattern",
    ["", "{", "{}", "{0}", "{width}", "{stem!r}", "{stem:>9}", "../{stem}", "/{stem}", "{stem}/"],
)
def test_other_patterns_are_refused(pattern):
    with pytest.raises(ValueError, match=r"expected|brace|'\{'"):
        parse_pattern(pattern)
