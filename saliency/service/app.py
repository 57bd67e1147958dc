"""The HTTP service: crops for image proxies and web teams, by the path that the command takes."""

import hashlib
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

import saliency
from saliency.cropping.report import json_line
from saliency.photo.reading import quietly
from saliency.quiet import quiet_opencv
from saliency.review.app import page_router
from saliency.service.body import fetch_photo, read_photo
from saliency.service.errors import RequestError
from saliency.service.metrics import Metrics
from saliency.service.openapi import CROP_BODY, CROP_RESPONSES, DESCRIPTION
from saliency.service.options import ServiceOptions
from saliency.service.query import openapi_parameters, read_query
from saliency.service.work import PhotoWork, ServedCrop

LOG = logging.getLogger("saliency.service")
"""One JSON object for each request for a crop: its path and sizes, nothing of the photo."""

_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "avif": "image/avif"} | {
    "tiff": "image/tiff",
    "gif": "image/gif",
    "heic": "image/heic",
}

Answer = Callable[[Request], Awaitable[Response]]


def create_app(options: ServiceOptions | None = None) -> FastAPI:
    """Return the service as an ASGI application.

    Raises:
        SaliencyError: the model cannot be loaded.
    """
    options = options or ServiceOptions()
    work = PhotoWork(options, options.workers or os.cpu_count() or 1)
    metrics = Metrics(lambda: work.taken)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with quietly(), quiet_opencv():
            app.state.is_ready = True
            yield
            app.state.is_ready = False
            work.close()

    app = FastAPI(
        title="saliency",
        version=saliency.__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from another host
        redoc_url=None,
    )
    app.state.is_ready = False
    _add_health(app, metrics)
    app.include_router(page_router())
    parameters = openapi_parameters()

    @app.post(
        "/v1/crops",
        summary="Crop a photo",
        openapi_extra={"parameters": parameters, "requestBody": CROP_BODY},
        responses=CROP_RESPONSES,
    )
    async def post_crops(request: Request) -> Response:
        async def answer(request: Request) -> Response:
            data, pairs = await read_photo(request, options)
            return await _answer(request, data, pairs, work)

        return await _reported(request, answer, metrics)

    url = {"name": "url", "in": "query", "required": True, "schema": {"type": "string"}}

    @app.get(
        "/v1/crops",
        summary="Crop a photo of an allowed host",
        openapi_extra={"parameters": [url, *parameters]},
        responses=CROP_RESPONSES,
    )
    async def get_crops(request: Request) -> Response:
        async def answer(request: Request) -> Response:
            pairs = list(request.query_params.multi_items())
            urls = [value for name, value in pairs if name == "url"]
            if len(urls) != 1:
                raise RequestError(400, "url: expected one address of a photo")
            rest = [pair for pair in pairs if pair[0] != "url"]
            read_query(rest)  # refused before anything is fetched
            data = await work.run(lambda: fetch_photo(urls[0], options))
            return await _answer(request, data, rest, work, max_age=options.max_age)

        return await _reported(request, answer, metrics)

    return app


def _add_health(app: FastAPI, metrics: Metrics) -> None:
    """Add what a supervisor asks for."""

    @app.get("/healthz", summary="Whether the process lives", response_class=PlainTextResponse)
    async def healthz() -> str:
        return "ok"

    @app.get("/readyz", summary="Whether photos are taken", response_class=PlainTextResponse)
    async def readyz() -> Response:
        is_ready = app.state.is_ready
        return PlainTextResponse("ok" if is_ready else "closing", 200 if is_ready else 503)

    @app.get("/metrics", summary="Counters for Prometheus", response_class=PlainTextResponse)
    async def read_metrics() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _answer(
    request: Request,
    data: bytes,
    pairs: list[tuple[str, str]],
    work: PhotoWork,
    *,
    max_age: int | None = None,
) -> Response:
    """Return the answer for a photo; with `max_age` it may be cached."""
    query = read_query(pairs)
    as_image = wants_image(request.headers.get("accept", ""))
    if as_image and len(query.crops.aspects) > 1:
        raise RequestError(400, "aspect: an image has one ratio; accept JSON for several")
    headers = {"Vary": "Accept"}
    if max_age is not None:
        tag = _tag(data, pairs, as_image=as_image)
        headers |= {"ETag": tag, "Cache-Control": f"public, max-age={max_age}"}
        if tag in [one.strip() for one in request.headers.get("if-none-match", "").split(",")]:
            return Response(status_code=304, headers=headers)
    served = await work.run(lambda: work.crop(data, query, as_image=as_image))
    return _response(served, headers, as_image=as_image)


def _response(served: ServedCrop, headers: dict[str, str], *, as_image: bool) -> Response:
    """Return a crop as its file with the window in headers, or as JSON."""
    if not as_image:
        text = json_line(served.report)
        return Response(text, media_type="application/json", headers=headers)
    window = served.report["windows"][0]
    box = ",".join(str(window[key]) for key in ("x", "y", "width", "height"))
    headers |= {"Saliency-Window": box, "Saliency-Outcome": window["outcome"]}
    if served.data is None:
        return Response(status_code=204, headers=headers)
    return Response(served.data, media_type=_TYPES[served.as_format], headers=headers)


async def _reported(request: Request, answer: Answer, metrics: Metrics) -> Response:
    """Return an answer, errors as a line; count it and log it."""
    start = time.perf_counter()
    try:
        response = await answer(request)
    except RequestError as error:
        after = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        response = JSONResponse({"error": str(error)}, error.status, headers=after)
    seconds = time.perf_counter() - start
    metrics.count(response.status_code, seconds)
    entry: dict[str, Any] = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "method": request.method,
        "path": request.url.path,
        "status": response.status_code,
        "ms": round(seconds * 1000, 1),
        "bytes": int(response.headers.get("content-length", 0)),
    }
    LOG.info(json.dumps(entry))
    return response


def wants_image(accept: str) -> bool:
    """Return whether a request wants the crop itself: if it names images before JSON."""
    for part in accept.lower().split(","):
        kind = part.split(";")[0].strip()
        if kind.startswith("image/"):
            return True
        if kind in ("application/json", "*/*"):
            return False
    return False


def _tag(data: bytes, pairs: list[tuple[str, str]], *, as_image: bool) -> str:
    """Return the entity tag of an answer: of the photo, the parameters and the version."""
    stated = repr((sorted(pairs), as_image, saliency.__version__)).encode()
    return f'"{hashlib.sha256(data + stated).hexdigest()[:32]}"'
