from pathlib import Path

import pytest

from saliency.commands.crop import build_parser, parse_arguments


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a.jpg", "--size", "0x5"],
        ["a.jpg", "--size", "12"],
        ["a.jpg", "--size", "9x9", "--scale", "2"],
        ["a.jpg", "--scale", "0"],
        ["a.jpg", "--lossless", "--max-size", "9"],
        ["a.jpg", "--resume", "--overwrite"],
        ["a.jpg", "--margin", "0.1"],
        ["a.jpg", "--name", "{width}.jpg"],
        ["a.jpg", "--name", "../{stem}.jpg"],
        ["a.jpg", "--name", "/tmp/{stem}.jpg"],
        ["a.jpg", "--background", "??"],
        ["a.jpg", "--background", "whyte"],
        ["a.jpg", "--aspect", "16"],
        ["-", "a.jpg"],
        ["-", "--json"],
        ["-", "--aspect", "1:1", "2:1"],
        ["-", "--overlay"],
    ],
)
def test_wrong_command_line_is_status_two(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        parse_arguments(arguments)
    assert caught.value.code == 2
    assert "saliency crop: error: " in capsys.readouterr().err


def test_photo_after_the_ratios_is_a_photo():
    options = parse_arguments(["--aspect", "16:9", "1:1", "a.jpg"])
    assert (list(options.aspect), options.photos) == (["16:9", "1:1"], [Path("a.jpg")])


def test_help_describes_every_option():
    assert [action.dest for action in build_parser()._actions if not action.help] == []
