"""What commands that serve a page or an interface have in common."""

import argparse
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from saliency.errors import SaliencyError


def add_address_options(parser: argparse.ArgumentParser) -> None:
    """Add --host and --port."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=_port, default=8000, help="port; 0 for a free one (default: %(default)s)")


def run_app(verb: str, create: Callable[[], Any], host: str, port: int) -> None:
    """Serve an application until the process is asked to stop.

    Args:
        verb: of the command, for messages.
        create: returns the ASGI application; called once the port is known to be free.
        host: address to listen on.
        port: 0 for a free one.

    Raises:
        SaliencyError: the port is in use, or the address is not of this machine.
    """
    import uvicorn  # noqa: PLC0415  so that --help answers at once

    from saliency.quiet import quiet_libraries  # noqa: PLC0415

    listening = _listen(host, port)
    with quiet_libraries(single_threaded=True):
        app = create()
        config = uvicorn.Config(app, log_level="warning", access_log=False)
        place = listening.getsockname()
        print(f"saliency {verb}: listening on http://{place[0]}:{place[1]}", file=sys.stderr)
        for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises them again when it is done
            signal.signal(number, lambda *_: None)
        uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        SaliencyError: the port is in use, or the address is not of this machine.
    """
    try:
        return socket.create_server((host, port), backlog=2048)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise SaliencyError(
            f"cannot listen on {host}:{port}: {reason}; choose another --port or --host"
        ) from error


def _port(text: str) -> int:
    """Return a port number."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got '{text}'")
    return int(text)
