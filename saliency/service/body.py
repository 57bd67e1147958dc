"""The photo and the parameters of a request: a body of bytes, a form, or an address."""

import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request

from saliency.service.errors import RequestError
from saliency.service.options import ServiceOptions

_FORM = "multipart/form-data"  # curl states the other kind of form for plain bytes
_FETCH_SECONDS = 10


async def read_photo(
    request: Request, options: ServiceOptions
) -> tuple[bytes, list[tuple[str, str]]]:
    """Return the photo of a request, and its parameters in the order query, form.

    Raises:
        RequestError: there is no photo or several (400), or too many bytes (413).
    """
    pairs = list(request.query_params.multi_items())
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > options.max_bytes:
        raise _too_large(options)
    if request.headers.get("content-type", "").startswith(_FORM):
        data, fields = await _read_form(request, options)
        pairs += fields
    else:
        data = await _read_body(request, options)
    if not data:
        raise RequestError(400, "expected a photo as the body, or as `photo` in a form; got none")
    return data, pairs


async def _read_body(request: Request, options: ServiceOptions) -> bytes:
    """Return the body of a request."""
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > options.max_bytes:
                raise _too_large(options)
            parts.append(part)
    except ClientDisconnect as error:
        raise RequestError(400, "the request ended before its photo") from error
    return b"".join(parts)


async def _read_form(
    request: Request, options: ServiceOptions
) -> tuple[bytes, list[tuple[str, str]]]:
    """Return the photo of a form, and its other fields."""
    body = await _read_body(request, options)  # bounds what the form may hold

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    again = Request(request.scope, receive)
    photos, fields = [], []
    try:
        async with again.form(max_files=1, max_fields=100, max_part_size=options.max_bytes) as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    photos.append(await value.read())
                else:
                    fields.append((name, value))
    except HTTPException as error:
        raise RequestError(400, f"the form cannot be read: {error.detail}") from error
    except (MultiPartException, ValueError, KeyError) as error:
        raise RequestError(400, f"the form cannot be read: {error}") from error
    if len(photos) > 1:
        raise RequestError(400, "expected one photo in the form, got several")
    return (photos[0] if photos else b""), fields


def _too_large(options: ServiceOptions) -> RequestError:
    """Return the refusal of too many bytes."""
    return RequestError(413, f"expected at most {options.max_bytes} bytes")


def _opener() -> urllib.request.OpenerDirector:
    """Return what fetches, without redirects (to hosts that are not allowed) and proxies."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def fetch_photo(url: str, options: ServiceOptions) -> bytes:
    """Return the photo at an address.

    Redirects are not followed, and no proxy or credentials of the environment are used.

    Raises:
        RequestError: the host is not allowed (403), the address is wrong (400), the photo is too
            large (413), or it cannot be fetched (502).
    """
    if not options.allow_host:
        raise RequestError(403, "fetching from addresses is off; start with --allow-host HOST")
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    except ValueError as error:
        raise RequestError(400, f"url: expected an address, got '{url[:80]}'") from error
    if parts.scheme not in ("http", "https") or "@" in parts.netloc or not parts.hostname:
        raise RequestError(400, "url: expected http://HOST/… or https://HOST/… without credentials")
    if host not in options.allow_host:
        raise RequestError(403, f"url: the host {host} is not allowed")
    try:
        with _opener().open(url, timeout=_FETCH_SECONDS) as answer:
            data: bytes = answer.read(options.max_bytes + 1)
    except urllib.error.HTTPError as error:
        error.close()
        raise RequestError(502, f"url: the host answered with status {error.code}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise RequestError(502, f"url: cannot be fetched: {reason}") from error
    if len(data) > options.max_bytes:
        raise _too_large(options)
    return data
