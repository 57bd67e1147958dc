"""Crop photos, from a checkout; the same program as `saliency crop`."""

from saliency.commands.crop import main

if __name__ == "__main__":
    raise SystemExit(main())
