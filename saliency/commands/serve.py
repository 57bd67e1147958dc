"""Serve crops over HTTP, for image proxies and web teams.

POST /v1/crops takes a photo as its body (or as `photo` in a form) and the options of `saliency
crop` as parameters: `?aspect=16:9&max-size=800`. It answers with the JSON of --json, or with the
crop itself to `Accept: image/*`. GET / is a page on which photos are dropped and their crops
corrected. /openapi.json describes all parameters; /healthz, /readyz and
/metrics are for supervisors. Each request is one JSON line on standard error.

Exit status: 0 when the service was stopped (Ctrl-C or SIGTERM, after the requests in work), 1 when
it cannot start, 2 for a wrong command line.
"""

import argparse
import logging
import sys
from collections.abc import Sequence

from saliency.commands.arguments.cropping import whole_number
from saliency.commands.arguments.fields import record_of
from saliency.commands.jobs.reporting import run_reporting
from saliency.service.listening import add_address_options, run_app


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    # Here and not above, so that a missing extra is reported by name.
    from saliency.service.options import ServiceOptions  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="saliency serve",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add_address_options(parser)
    defaults = ServiceOptions()
    add(
        "--model",
        default=defaults.model,
        help="fast, default or best, or an .onnx file, for requests that name no model (default: "
        "%(default)s)",
    )
    add("--workers", type=whole_number, help="photos in work at a time (default: one per core)")
    limits = {
        "queue": "photos that may wait; others are answered with status 503",
        "max_bytes": "largest request, in bytes",
        "max_pixels": "most pixels of a photo, of an animation in all frames together",
        "max_frames": "most frames of an animation",
        "max_seconds": "longest time for one photo",
        "max_age": "seconds for which crops of photos from an address may be cached",
    }
    for field, does in limits.items():
        add(
            f"--{field.replace('_', '-')}",
            metavar="N",
            type=whole_number,
            default=getattr(defaults, field),
            help=f"{does} (default: %(default)s)",
        )
    add(
        "--allow-host",
        metavar="HOST",
        action="append",
        help="host, or HOST:PORT, from which GET /v1/crops?url= may fetch photos; may be given "
        "several times (default: none)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the service and return the exit status."""
    arguments = build_parser().parse_args(argv)
    return run_reporting("serve", lambda: _serve(arguments))


def _serve(arguments: argparse.Namespace) -> int:
    """Run the service until it is stopped."""
    from saliency.service.app import LOG, create_app  # noqa: PLC0415  so that --help answers at once
    from saliency.service.options import ServiceOptions  # noqa: PLC0415

    options = record_of(ServiceOptions, arguments)

    def create() -> object:
        LOG.addHandler(logging.StreamHandler(sys.stderr))
        LOG.setLevel(logging.INFO)
        return create_app(options)

    run_app("serve", create, arguments.host, arguments.port)
    return 0
