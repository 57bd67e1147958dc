"""Which process of a run this is, before torch is loaded."""

import os


def is_first_process() -> bool:
    """Return whether this process is the one that writes, by what `torchrun` has told it."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "NODE_RANK", "LOCAL_RANK"))
