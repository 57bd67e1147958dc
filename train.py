"""Train a model, from a checkout; the same program as `saliency train`."""

from saliency.commands.train import main

if __name__ == "__main__":
    raise SystemExit(main())
