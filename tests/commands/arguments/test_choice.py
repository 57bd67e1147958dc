import argparse

import pytest

from saliency.commands.arguments.choice import add_choice_options
from saliency.commands.arguments.fields import record_of
from saliency.crop_windows.options import ChoiceOptions, parse_box


def read(*arguments):
    parser = argparse.ArgumentParser()
    add_choice_options(parser)
    return record_of(ChoiceOptions, parser.parse_args(arguments))


def test_no_options_are_the_defaults():
    assert read() == ChoiceOptions()


def test_every_option_reaches_its_field():
    options = read(
        *("--min-gain", "2%", "--min-confidence", "0.7", "--fallback", "pad"),
        *("--zoom", "80%", "--margin", "0.1", "--place", "thirds", "--min-size", "640x360"),
        *("--keep", "1,2,3,4", "--keep", "50%,0,5,6", "--avoid", "7,8,9,10", "--candidates", "5"),
    )
    assert options == ChoiceOptions(
        min_gain=0.02,
        min_confidence=0.7,
        fallback="pad",
        zoom=0.8,
        margin=0.1,
        keep=(parse_box("1,2,3,4"), parse_box("50%,0,5,6")),
        avoid=(parse_box("7,8,9,10"),),
        place="thirds",
        min_size=(640, 360),
        candidates=5,
    )


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--zoom", "80", "expected a share such as 0.8 or 80%, got '80'"),
        ("--keep", "1,2,3", "expected X,Y,W,H in pixels or percent"),
        ("--min-size", "big", "expected WxH in pixels"),
        ("--candidates", "0", "expected a whole number above 0, got '0'"),
        ("--place", "middle", "invalid choice: 'middle'"),
    ],
)
def test_wrong_value_is_refused_with_what_was_expected(option, value, message, capsys):
    with pytest.raises(SystemExit) as stop:
        read(option, value)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
