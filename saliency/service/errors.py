"""Requests that are answered with an error: a status, and one line."""


class RequestError(Exception):
    """A request cannot be met; the message is one line for the caller.

    Attributes:
        status: of HTTP.
        retry_after: seconds after which another try is worth it; None for never.
    """

    def __init__(self, status: int, message: str, *, retry_after: int | None = None) -> None:
        """Take the status and the message."""
        super().__init__(" ".join(message.split()))
        self.status, self.retry_after = status, retry_after
