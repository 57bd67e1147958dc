"""Dataclasses filled from command lines: an option fills the field of its name."""

import argparse
import dataclasses
from typing import Any, TypeVar

Record = TypeVar("Record")


def given_fields(arguments: argparse.Namespace, of: Any) -> dict[str, Any]:
    """Return the options of a command line that are fields of a dataclass and were given.

    Args:
        arguments: of the command line; what is None was not given, lists become tuples.
        of: the dataclass.
    """
    names = {field.name for field in dataclasses.fields(of)}
    given = {name: value for name, value in vars(arguments).items() if name in names}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if value is not None
    }


def record_of(of: type[Record], arguments: argparse.Namespace, **more: Any) -> Record:
    """Return a dataclass with the options of a command line in the fields of the same names.

    Args:
        of: the dataclass; options that were not given have its defaults.
        arguments: of the command line.
        **more: fields that are not options by themselves.

    Raises:
        ValueError: the dataclass refuses a value.
    """
    return of(**(given_fields(arguments, of) | more))
