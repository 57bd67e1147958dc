"""What OpenAPI describes of requests and answers beyond the parameters."""

from typing import Any

DESCRIPTION = (
    "Crops photos to any aspect ratio where people look. The parameters are the options of "
    "`saliency crop`."
)

_PHOTO = {"type": "string", "format": "binary"}

CROP_BODY: dict[str, Any] = {
    "required": True,
    "description": "The photo: the body itself, or `photo` in a form, whose other fields are "
    "parameters.",
    "content": {
        "image/*": {"schema": _PHOTO},
        "application/octet-stream": {"schema": _PHOTO},
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"photo": _PHOTO}, "required": ["photo"]}
        },
    },
}

_EXAMPLE = {
    "schema": 1,
    "photo": "photo",
    "status": "analysed",
    "width": 640,
    "height": 427,
    "content": {"x": 0, "y": 0, "width": 640, "height": 427},
    "windows": [
        {
            "aspect": "1:1",
            "outcome": "moved",
            "reason": "most density is there",
            "x": 118,
            "y": 0,
            "width": 427,
            "height": 427,
            "share": 0.87,
            "centre_share": 0.79,
            "gain": 0.08,
            "confidence": 0.76,
            "crop_confidence": 0.61,
            "css": "object-position: 55.4% 50%",
        }
    ],
    "warnings": [],
    "faces": [],
}


def _error(description: str) -> dict[str, Any]:
    """Return an answer with an error."""
    schema = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


CROP_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "JSON as `saliency crop --json` prints it; with `Accept: image/*` the crop, "
        "its window in the header `Saliency-Window`.",
        "content": {
            "application/json": {"schema": {"type": "object"}, "example": _EXAMPLE},
            "image/*": {"schema": _PHOTO},
        },
    },
    204: {"description": "No crop, as `fallback=skip` asks for where no window is good enough."},
    304: {"description": "The crop is the one that `If-None-Match` names."},
    400: _error("A parameter or the request is wrong."),
    403: _error("Photos of this host are not fetched."),
    413: _error("The photo is larger than the service allows."),
    422: _error("The photo cannot be read or cropped, or takes too long."),
    502: _error("The photo cannot be fetched."),
    503: _error("Too many photos are waiting; `Retry-After` says when to try again."),
}
