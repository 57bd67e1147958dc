"""The work of `saliency crop --cluster` once its command line is parsed."""

import argparse
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from saliency.batch.cluster import crop_dataset
from saliency.batch.listing import ListedPhoto
from saliency.batch.ray_nodes import connect, count_cores, disconnect
from saliency.batch.results import Results
from saliency.batch.shards import is_parquet, list_dataset, parquet_dataset
from saliency.batch.workers import PhotoOutcome
from saliency.commands.jobs.crop_job import (
    check_lists,
    list_photos,
    name_photos,
    read_decisions,
    read_options,
    report_all,
)
from saliency.errors import PhotoError
from saliency.files import is_url
from saliency.object_store import list_urls
from saliency.photo.formats import PHOTO_SUFFIXES
from saliency.quiet import quiet_libraries


def crop_on_cluster(options: argparse.Namespace) -> int:
    """Crop every photo on a cluster, and continue after those that fail."""
    named = name_photos(options)
    tables = [path for path in named if is_parquet(path)]
    if tables and len(tables) < len(named):
        raise PhotoError("expected Parquet files alone, or photos and folders alone")
    photos = None if tables else _listed(named, options)
    check_lists(options, photos or ())
    crops, batch = read_options(options)
    decisions = read_decisions(options, photos or ())
    results = _results(options)
    with quiet_libraries():
        is_new = connect(options.cluster)
        try:
            ds = parquet_dataset(tables) if photos is None else _dataset(photos, options)
            outcomes = crop_dataset(
                ds,
                crops,
                batch,
                model=options.model,
                worker_count=options.workers,
                threads=options.threads or 1,
                decisions=decisions,
                photos=photos,
            )

            def keep(outcome: PhotoOutcome, shown: dict[str, Any]) -> None:
                if results is not None:
                    results.add(outcome.photo.path, shown)

            count = None if photos is None else len(photos)
            with closing(outcomes):
                status = report_all(outcomes, options, photo_count=count, keep=keep)
        finally:
            if is_new:
                disconnect()
    if results is not None:
        results.close()
    return status


def _listed(named: Sequence[Path], options: argparse.Namespace) -> list[ListedPhoto]:
    """Return the photos of folders and object stores, each once."""
    photos = list_photos(options, [path for path in named if not is_url(path)])
    for path in named:
        if is_url(path):
            found = list_urls(path, sorted(PHOTO_SUFFIXES), is_recursive=options.recursive)
            photos += [ListedPhoto(one, _folder(one, path)) for one in found]
    return list({photo.path: photo for photo in photos}.values())


def _folder(photo: Path, top: Path) -> Path:
    """Return the place of a photo below the folder that was named."""
    return Path() if photo == top else photo.parent.relative_to(top)


def _dataset(photos: Sequence[ListedPhoto], options: argparse.Namespace) -> Any:
    """Return the dataset of a list."""
    workers = options.workers or count_cores()
    return list_dataset(photos, worker_count=workers)


def _results(options: argparse.Namespace) -> Results | None:
    """Return the file of results, None without."""
    if options.results is None:
        return None
    return Results(options.results, overwrite=options.overwrite, resume=options.resume)
