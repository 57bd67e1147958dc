"""Crop photos on a cluster, with Ray Data: every photo is cropped or reported, exactly once."""

import hashlib
import logging
import os
import pickle
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from saliency.batch.cropper import Cropper
from saliency.batch.decisions import Decisions
from saliency.batch.isolation import IsolatedCropper
from saliency.batch.listing import ListedPhoto
from saliency.batch.options import BatchOptions
from saliency.batch.plan import Planner
from saliency.batch.ray_nodes import check_nodes, connect, count_cores, import_ray
from saliency.batch.shards import MOST_ROWS
from saliency.batch.workers import PhotoOutcome
from saliency.cropping.options import CropOptions
from saliency.errors import ClusterError, PhotoError, SaliencyError, first_line
from saliency.files import is_url, url_of
from saliency.object_store import read_url
from saliency.photo.formats import SUFFIXES
from saliency.prediction.predictor import Predictor
from saliency.prediction.shipped_models import is_shipped, model_path

ROUNDS = 3
"""How often a photo is given out whose worker, or whose node, is lost."""

_CORE_SHARE = 0.9  # of a worker; the rest is for tasks that read, which wait for data
_LOST_TASKS = 3  # times that Ray gives a block to a worker again, within a round
_PILLOW_NAMES = {"heic": "HEIF"}


def crop_dataset(
    ds: Any,
    crops: CropOptions,
    options: BatchOptions | None = None,
    *,
    model: Path | str | None = None,
    worker_count: int | None = None,
    threads: int = 1,
    decisions: Decisions | None = None,
    photos: Sequence[ListedPhoto] | None = None,
    make_cropper: Callable[..., Cropper] | None = None,
) -> Generator[PhotoOutcome, None, None]:
    """Crop the photos of a Ray dataset and yield the result for each, as they are done.

    Names are reserved before the first photo is cropped, as on one machine. A photo that ends its
    process is reported, with how it ended. Photos whose worker or node is lost, or whose crops a
    node cannot write, are given to others, `ROUNDS` times.

    Args:
        ds: any dataset with a column `path` (a file that all nodes see, a URL of an object store,
            or just a name), perhaps one `bytes` (content of the file, instead of reading it) and
            one `folder` (place of its crops below the output folder). It is read twice, `path`
            alone at first.
        crops: how photos are cropped.
        options: which files are written, into a folder that all nodes share.
        model: as in `Predictor`; a file has to be there on all nodes.
        worker_count: most photos in work at a time; None for one per core of the cluster.
        threads: of the model, in each worker, which takes as many cores.
        decisions: windows that were decided before.
        photos: what the dataset lists, if that is known.
        make_cropper: for tests: makes the cropper of a worker, in place of `Cropper`.

    Raises:
        ClusterError: there is no cluster, its nodes are not alike, or all of it was lost.
        PhotoError: the dataset cannot be read.
        OutputError: the output folder cannot be written to.
    """
    ray = import_ray()
    options = options or BatchOptions()
    connect()
    with _told(), _settings():
        has_bytes = "bytes" in _columns(ds)
        listed = list(_listed(ds)) if photos is None else list(photos)
        _check(listed, options, has_bytes=has_bytes, model=model)
        wanted: set[int] = set()
        yield from _planned(listed, crops, options, wanted, has_bytes=has_bytes)
        folder = _own_folder(listed, options)
        del listed
        kept = replace(options, overwrite=not options.resume)  # names are reserved: retries replace
        make = partial(
            make_cropper or _make_cropper, model, crops, kept, threads=threads, decisions=decisions
        )
        count = worker_count or max(1, count_cores() // threads)
        for number in range(ROUNDS):
            if not wanted:
                return
            is_last = number == ROUNDS - 1
            keys = ray.put(frozenset(wanted))
            some = ds if number == 0 else _alone(ds, keys)
            # A dataset that is read meanwhile needs cores too; Ray Data shares them out.
            first = 1 if photos is None and number == 0 else count
            pool = ray.data.ActorPoolStrategy(min_size=1, max_size=count, initial_size=first)
            rows = some.map_batches(
                CropWorker,
                fn_constructor_args=(make, keys, folder),
                compute=pool,
                batch_format="pyarrow",
                batch_size=MOST_ROWS,
                num_cpus=_CORE_SHARE * threads,
                ray_remote_args_fn=_retries,
            )
            for row in rows.iter_rows():
                outcome: PhotoOutcome = pickle.loads(row["outcome"])
                key = photo_key(outcome.photo.path)
                if key in wanted and (is_last or not outcome.is_local):
                    wanted.discard(key)
                    yield outcome
        yield from _lost(_listed(ds) if photos is None else photos, wanted)


class CropWorker:
    """One of a pool's actors: crops blocks of photos, by a process of its own with one model."""

    def __init__(self, make: Callable[[], Cropper], keys: Any, folder: Path | None) -> None:
        """Start the process.

        Args:
            make: makes its cropper.
            keys: reference to the keys of the photos to crop.
            folder: to which names are relative.
        """
        self._wanted: frozenset[int] = import_ray().get(keys)
        self._cropper = IsolatedCropper(make, folder=folder)
        self._node = import_ray().util.get_node_ip_address()

    def __call__(self, batch: Any) -> Iterator[dict[str, list[bytes]]]:
        """Yield the pickled outcome of each photo of a block that is to be cropped."""
        contents = batch["bytes"] if "bytes" in batch.column_names else None
        for index, photo in enumerate(_photos_of(batch, has_bytes=contents is not None)):
            if photo_key(photo.path) in self._wanted:
                data = None if contents is None else contents[index].as_py()
                yield {"outcome": [pickle.dumps(self._crop(photo, data))]}

    def _crop(self, photo: ListedPhoto, data: bytes | None) -> PhotoOutcome:
        """Crop a photo; say which node it was where that matters."""
        try:
            if data is None and is_url(photo.path):
                data = read_url(photo.path)
        except PhotoError as error:
            return PhotoOutcome(photo, error=str(error))
        outcome = self._cropper.crop(photo, data)
        if outcome.error is None:
            return outcome
        text = outcome.error.replace(str(photo.path), url_of(photo.path))
        return replace(outcome, error=text + f" (node {self._node})" * outcome.is_local)


def _retries() -> dict[str, int]:
    """Return how often Ray gives a block out again; it would do so for ever."""
    return {"max_task_retries": _LOST_TASKS}


def photo_key(path: Path) -> int:
    """Return a number for a photo: the first 64 bits of the SHA-256 of its name."""
    return int.from_bytes(hashlib.sha256(os.fsencode(url_of(path))).digest()[:8])


def _make_cropper(
    model: Path | str | None,
    crops: CropOptions,
    options: BatchOptions,
    *,
    threads: int,
    decisions: Decisions | None,
) -> Cropper:
    """Return the cropper of a worker."""
    return Cropper(Predictor(model, threads=threads), crops, options, decisions=decisions)


def _planned(
    photos: Sequence[ListedPhoto],
    crops: CropOptions,
    options: BatchOptions,
    wanted: set[int],
    *,
    has_bytes: bool,
) -> Iterator[PhotoOutcome]:
    """Reserve the names of all crops; yield what is refused or done, add the others to `wanted`."""
    planner = Planner(crops, options, () if has_bytes else photos)
    seen: set[int] = set()
    for photo in photos:
        key = photo_key(photo.path)
        if key in seen:
            continue
        seen.add(key)
        known = _format_of_name(photo.path) if has_bytes or is_url(photo.path) else None
        try:
            if planner.plan(photo, photo_format=known).is_done:
                yield PhotoOutcome(photo)
            else:
                wanted.add(key)
        except SaliencyError as error:
            yield PhotoOutcome(photo, error=str(error))


def _lost(photos: Any, wanted: set[int]) -> Iterator[PhotoOutcome]:
    """Yield the failure of photos that nobody reported on."""
    for photo in photos:
        if photo_key(photo.path) in wanted:
            wanted.discard(photo_key(photo.path))
            error = (
                f"cannot crop {url_of(photo.path)}: the workers that had it were lost {ROUNDS} "
                "times; see Ray's logs on the nodes, then crop it again"
            )
            yield PhotoOutcome(photo, error=error)


def _listed(ds: Any) -> Iterator[ListedPhoto]:
    """Yield the photos of a dataset, without reading more than their names."""
    known = _columns(ds)
    columns = [name for name in ("path", "folder") if name in known]
    for batch in ds.select_columns(columns).iter_batches(batch_format="pyarrow"):
        yield from _photos_of(batch, has_bytes="bytes" in known)


def _photos_of(batch: Any, *, has_bytes: bool) -> Iterator[ListedPhoto]:
    """Yield the photos of a block.

    Where the dataset has their content, relative names say too where their crops are put.
    """
    for index, name in enumerate(batch["path"]):
        path = Path(os.fsdecode(name.as_py()))
        folder = Path()
        if "folder" in batch.column_names:
            folder = Path(os.fsdecode(batch["folder"][index].as_py()))
        elif has_bytes and not path.is_absolute() and ".." not in path.parts and not is_url(path):
            folder = path.parent
        yield ListedPhoto(path, folder)


def _alone(ds: Any, keys: Any) -> Any:
    """Return the photos of a dataset that are still to be cropped, each in a block of its own."""
    some = ds.map_batches(_remaining, fn_args=(keys,), batch_format="pyarrow")
    # Before the pool takes all cores, for which these tasks would wait in vain.
    return some.repartition(target_num_rows_per_block=1).materialize()


def _remaining(batch: Any, keys: Any) -> Any:
    """Return the photos of a block that are still to be cropped; `keys` refers to theirs."""
    wanted = import_ray().get(keys)
    return batch.filter(
        [photo_key(photo.path) in wanted for photo in _photos_of(batch, has_bytes=False)]
    )


def _columns(ds: Any) -> list[str]:
    """Return the names of a dataset's columns."""
    schema = ds.schema()
    names: list[str] = [] if schema is None else schema.names
    if schema is not None and "path" not in names:
        raise ValueError(f"expected a dataset with a column path, got {', '.join(names)}")
    return names


def _check(
    photos: Sequence[ListedPhoto], options: BatchOptions, *, has_bytes: bool, model: Any
) -> None:
    """Refuse a cluster that cannot do it, before anything is done."""
    is_elsewhere = has_bytes or any(is_url(photo.path) for photo in photos)
    if is_elsewhere and options.output_dir is None and not options.is_dry:
        raise PhotoError(
            "expected a folder for the crops: photos in object stores and Parquet files have none"
        )
    shared = {} if options.output_dir is None else {"the folder of the crops": options.output_dir}
    Predictor(model, threads=1)  # refuses what is no model, with the same words as on one machine
    own = model_path(model)
    files = {} if is_shipped(own) else {"the model": own.resolve()}
    folder = _own_folder(photos, options)
    files |= {} if folder is None else {"the folder": folder}
    check_nodes(shared={} if options.is_dry else shared, files=files)


def _own_folder(photos: Sequence[ListedPhoto], options: BatchOptions) -> Path | None:
    """Return this process's folder if a name is relative to it."""
    names = [photo.path for photo in photos if not is_url(photo.path)]
    names += [] if options.output_dir is None else [options.output_dir]
    return None if all(name.is_absolute() for name in names) else Path.cwd()


def _format_of_name(path: Path) -> str:
    """Return the format that a photo's name promises, as Pillow calls it."""
    for name, suffixes in SUFFIXES.items():
        if path.suffix.lower() in suffixes:
            return _PILLOW_NAMES.get(name, name.upper())
    return "JPEG"


@contextmanager
def _settings() -> Iterator[None]:
    """Let Ray Data go on after blocks that are lost, and print nothing by itself."""
    context = import_ray().data.DataContext.get_current()
    settings: list[tuple[Any, str, object]] = [
        (context, "max_errored_blocks", -1),
        (context, "enable_progress_bars", False),
    ]
    loggers = [logging.getLogger(name) for name in ("ray", "ray.data")]
    levels = [logger.level for logger in loggers]
    before = [(place, name, getattr(place, name, None)) for place, name, _ in settings]
    try:
        for place, name, value in settings:
            setattr(place, name, value)
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for place, name, value in before:
            setattr(place, name, value)


@contextmanager
def _told() -> Iterator[None]:
    """Raise what Ray raises as an error of one line."""
    ray = import_ray()
    try:
        yield
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        raise ClusterError(
            f"the cluster failed: {first_line(cause)}; crops so far stay: go on with --resume"
        ) from error
