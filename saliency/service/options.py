"""How the service runs: one frozen record, the source of the defaults of `saliency serve`."""

from dataclasses import dataclass

from saliency.photo.reading import MOST_PIXELS


@dataclass(frozen=True, kw_only=True)
class ServiceOptions:
    """How the service runs; every field is an option of `saliency serve` of the same name.

    Attributes:
        model: name of a shipped model, or an .onnx file, for requests that name none.
        workers: photos in work at a time; None for one per core.
        queue: photos that may wait for a worker; others get status 503.
        max_bytes: largest request.
        max_pixels: most pixels of a photo, of an animation in all frames together.
        max_frames: most frames of an animation.
        max_seconds: longest time that the work on a photo may take.
        allow_host: hosts from which `GET /v1/crops?url=` may fetch photos, each `HOST` or
            `HOST:PORT`; none turns it off.
        max_age: seconds for which a crop from a URL may be cached.
    """

    model: str = "default"
    workers: int | None = None
    queue: int = 32
    max_bytes: int = 64 << 20
    max_pixels: int = MOST_PIXELS
    max_frames: int = 500
    max_seconds: int = 30
    allow_host: tuple[str, ...] = ()
    max_age: int = 3600

    def __post_init__(self) -> None:
        """Refuse limits that no photo meets.

        Raises:
            ValueError: a number is too small.
        """
        for name in ("max_bytes", "max_pixels", "max_frames", "max_seconds"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} of at least 1, got {getattr(self, name)}")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"expected workers of at least 1, got {self.workers}")
        if min(self.queue, self.max_age) < 0:
            raise ValueError("expected queue and max_age of at least 0")
