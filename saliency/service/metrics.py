"""What the service counts, in the form of Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """Counters of one service."""

    def __init__(self, taken: Callable[[], float]) -> None:
        """Begin at zero.

        Args:
            taken: returns how many photos are in work or wait.
        """
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "saliency_requests", "Requests for crops", ["status"], registry=self._registry
        )
        self._seconds = Histogram(
            "saliency_request_seconds",
            "Seconds from a request for a crop to its answer",
            buckets=_SECONDS,
            registry=self._registry,
        )
        photos = Gauge(
            "saliency_photos_taken", "Photos in work or waiting", registry=self._registry
        )
        photos.set_function(taken)

    def count(self, status: int, seconds: float) -> None:
        """Count a request for a crop."""
        self._requests.labels(str(status)).inc()
        self._seconds.observe(seconds)

    def text(self) -> bytes:
        """Return all of them as Prometheus reads it."""
        return generate_latest(self._registry)
