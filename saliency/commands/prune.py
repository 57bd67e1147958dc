"""Make a trained model smaller and faster: not in this version.

The next version removes the channels of a model that cost the most measured time and whose loss
would raise the error least (Theis et al. 2018, Fisher pruning). Until then train a smaller model:
`saliency train --input-pixels N` makes one that looks at less.
"""

import argparse
import sys
from collections.abc import Sequence

from saliency.commands import error_line


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    return argparse.ArgumentParser(
        prog="saliency prune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Say that pruning is not in this version, and return the exit status of a failure."""
    build_parser().parse_known_args(argv)
    message = "not in this version; `saliency train --input-pixels N` gives a faster model"
    print(error_line("prune", message), file=sys.stderr)
    return 1
