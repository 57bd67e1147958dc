"""Check the values of records of options."""

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

Ranges = tuple[tuple[str, Callable[[float], bool], tuple[str, ...]], ...]
"""What numbers are to be, in words, as a test, and the names of the fields."""


def check_values(options: Any, ranges: Ranges, choices: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse a record of options with values that they cannot have.

    Args:
        options: the record; a field that is None is passed over, unless it is a choice.
        ranges: for numbers, the condition in words, its test, and the fields it applies to.
        choices: by field, the allowed values.

    Raises:
        ValueError: a number is out of its range, or a word is none of the choices.
    """
    for expected, is_allowed, names in ranges:
        for name in names:
            value = getattr(options, name)
            if value is None:
                continue
            is_number = isinstance(value, Real) and math.isfinite(value)
            if not (is_number and is_allowed(value)):
                raise ValueError(f"expected {name} {expected}, got {value!r}")
    for name, allowed in choices.items():
        if getattr(options, name) not in allowed:
            raise ValueError(f"expected {name} of {allowed}, got {getattr(options, name)!r}")
