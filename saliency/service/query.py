"""The parameters of a request: the options of `saliency crop`, from the same declarations.

A query is read by the parser of the command, so names, values, defaults and messages are the same:
`aspect=16:9&aspect=1:1&max-size=800&strip` is `--aspect 16:9 1:1 --max-size 800 --strip`.
"""

import argparse
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

from saliency.commands.arguments.aspects import (
    add_aspect_option,
    check_crop_options,
    crop_options,
    read_aspects,
)
from saliency.commands.arguments.choice import add_choice_options
from saliency.commands.arguments.cropping import (
    add_damage_option,
    add_encoding_options,
    add_size_options,
)
from saliency.cropping.options import CropOptions
from saliency.prediction.shipped_models import SHIPPED_MODELS
from saliency.service.errors import RequestError

_TRUE, _FALSE = ("", "1", "true", "yes", "on"), ("0", "false", "no", "off")


class CropQuery(NamedTuple):
    """What a request asks for.

    Attributes:
        crops: how the photo is cropped.
        model: name of a shipped model; None for the service's own.
        has_density: give the density too.
    """

    crops: CropOptions
    model: str | None
    has_density: bool


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are answers to a request."""

    def error(self, message: str) -> NoReturn:
        """Refuse the request."""
        raise RequestError(400, message.removeprefix("argument ").replace("--", ""))


@lru_cache(maxsize=1)
def _parser() -> argparse.ArgumentParser:
    """Return the parser of a query."""
    parser = _Parser(prog="query", add_help=False, allow_abbrev=False)
    add_aspect_option(parser)
    add_size_options(parser)
    add_choice_options(parser)
    add_encoding_options(parser)
    add_damage_option(parser.add_argument)
    parser.add_argument(
        "--model",
        choices=SHIPPED_MODELS,
        help="model that predicts the density (default: the one of the service)",
    )
    parser.add_argument(
        "--density",
        action="store_true",
        help="JSON: give the density too, as a grey PNG over the picture in base64",
    )
    return parser


def _actions() -> dict[str, argparse.Action]:
    """Return the options by the names that they have in a query."""
    return {action.option_strings[-1].lstrip("-"): action for action in _parser()._actions}


def read_query(pairs: Iterable[tuple[str, str]]) -> CropQuery:
    """Return what a query asks for.

    Args:
        pairs: names and values; a name may occur several times where the option may.

    Raises:
        RequestError: a name is unknown, or a value is refused; with status 400.
    """
    actions = _actions()
    arguments: list[str] = []
    given: set[str] = set()
    for name, value in pairs:
        action = actions.get(name)
        if action is None:
            raise RequestError(400, f"unknown parameter '{name[:40]}'; see /openapi.json")
        if name in given and not _may_repeat(action):
            raise RequestError(400, f"{name}: expected once, got it several times")
        given.add(name)
        if action.nargs != 0:
            values = value.split() if action.nargs == "+" else [value]
            arguments += [f"--{name}={one}" for one in values or [""]]
        elif value.lower() in _TRUE:
            arguments.append(f"--{name}")
        elif value.lower() not in _FALSE:
            raise RequestError(400, f"{name}: expected true or false, got '{value[:40]}'")
    parser = _parser()
    options = parser.parse_args(arguments)
    read_aspects(parser, options)
    check_crop_options(parser, options)
    try:
        crops = crop_options(options, has_alternatives=True)
    except ValueError as error:
        raise RequestError(400, str(error)) from error
    return CropQuery(crops, options.model, options.density)


def _may_repeat(action: argparse.Action) -> bool:
    """Return whether an option may be given several times."""
    return action.nargs == "+" or isinstance(action, argparse._AppendAction)


def openapi_parameters() -> list[dict[str, Any]]:
    """Return the parameters of a request as OpenAPI describes them."""
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": _description(action),
            "schema": _schema(action),
            **({"style": "form", "explode": True} if _may_repeat(action) else {}),
        }
        for name, action in _actions().items()
    ]


def _description(action: argparse.Action) -> str:
    """Return the help of an option, its default filled in."""
    return (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")


_EXAMPLES = {"W:H": "16:9", "WxH": "1200x630", "X,Y,W,H": "10%,0,30%,50%", "SHARE": "0.8"}


def _schema(action: argparse.Action) -> dict[str, Any]:
    """Return the JSON schema of an option's value."""
    if action.nargs == 0:
        return {"type": "boolean", "default": False}
    if action.choices is not None:
        return {"type": "string", "enum": list(action.choices)}
    whole = action.metavar in ("PX", "N", "Q")
    value: dict[str, Any] = {"type": "integer", "minimum": 1} if whole else {"type": "string"}
    if str(action.metavar) in _EXAMPLES:
        value["example"] = _EXAMPLES[str(action.metavar)]
    if action.metavar == "Q":
        value["maximum"] = 100
    return {"type": "array", "items": value} if _may_repeat(action) else value
