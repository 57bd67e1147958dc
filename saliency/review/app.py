"""The page of a review and what it asks for, as an ASGI application."""

import importlib.resources
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request

from saliency.errors import SaliencyError
from saliency.geometry import Window
from saliency.review.session import ReviewSession

_PAGE = importlib.resources.files("saliency") / "review" / "page"
_FILES = {
    "index.html": "text/html; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
}
_POLICY = "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'"


def page_router() -> APIRouter:
    """Return the routes of the page itself; it loads nothing from other hosts."""
    router = APIRouter(include_in_schema=False)

    def add(path: str, name: str) -> None:
        content = (_PAGE / name).read_bytes()
        headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}

        @router.get(path)
        async def serve() -> Response:
            return Response(content, media_type=_FILES[name], headers=headers)

    add("/", "index.html")
    add("/page.js", "page.js")
    add("/page.css", "page.css")
    return router


def create_app(session: ReviewSession, hosts: list[str]) -> FastAPI:
    """Return the review of a folder as an application.

    Args:
        session: of the folder; it is started and closed with the application.
        hosts: names by which it may be reached, so that no other site can use it.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        session.start()
        yield
        await run_in_threadpool(session.close)

    app = FastAPI(title="saliency review", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    app.include_router(page_router())
    app.include_router(_photos_router(session))
    return app


def _photos_router(session: ReviewSession) -> APIRouter:
    """Return the routes of the folder's photos."""
    router = APIRouter(prefix="/review")

    @router.get("/photos")
    async def photos() -> Response:
        listed = await run_in_threadpool(session.listed)
        return JSONResponse({"aspects": session.aspects, "photos": listed})

    @router.get("/photos/{number}")
    async def photo(number: int) -> Response:
        return await _answered(lambda: session.shown(number))

    @router.get("/photos/{number}/preview")
    async def preview(number: int) -> Response:
        return await _answered(lambda: session.preview(number), "image/jpeg")

    @router.get("/photos/{number}/density")
    async def density(number: int) -> Response:
        return await _answered(lambda: session.density(number), "image/png")

    @router.put("/photos/{number}/decision")
    async def decide(number: int, request: Request) -> Response:
        # A form of another site cannot send this kind of content.
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return JSONResponse({"error": "expected JSON"}, 415)
        try:
            asked = await request.json()
            aspect = str(asked["aspect"])
            box = asked["window"]
            if box == "model":
                return await _answered(lambda: session.undecide(number, aspect))
            names = ("x", "y", "width", "height")
            window = None if box is None else Window(*(int(box[name]) for name in names))
        except (ValueError, KeyError, TypeError):
            return JSONResponse({"error": "expected aspect and window"}, 400)
        return await _answered(lambda: session.decide(number, aspect, window))

    return router


async def _answered(job: Callable[[], Any], media_type: str | None = None) -> Response:
    """Return what a job makes, as JSON or as a file; errors as one line."""
    try:
        made = await run_in_threadpool(job)
    except SaliencyError as error:
        return JSONResponse({"error": str(error)}, 422)
    return JSONResponse(made) if media_type is None else Response(made, media_type=media_type)
