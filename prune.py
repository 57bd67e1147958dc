"""Prune a model, from a checkout; the same program as `saliency prune`."""

from saliency.commands.prune import main

if __name__ == "__main__":
    raise SystemExit(main())
