"""Crops on a local Ray cluster of several node processes, some of which are killed.

One test has most of it, in stages, as a cluster takes seconds to start.
"""

import json
import os
import socket
import warnings
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from cluster_fixtures import make_stand_in
from runtime_fixtures import dark_photo, write_model

import saliency
from saliency.batch.listing import ListedPhoto
from saliency.batch.options import BatchOptions
from saliency.commands import crop as crop_command
from saliency.cropping.options import CropOptions
from saliency.errors import ClusterError

ray = pytest.importorskip("ray", reason="needs the extra ray")
pytestmark = pytest.mark.filterwarnings("ignore")  # of Ray

from saliency.batch import ray_nodes  # noqa: E402
from saliency.batch.cluster import crop_dataset  # noqa: E402
from saliency.batch.shards import list_dataset  # noqa: E402

CROPS = CropOptions(aspects={"1:1": Fraction(1)})
PACKAGE = Path(saliency.__file__).parent
NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}


@pytest.fixture
def cluster(monkeypatch):
    """A cluster of a head without cores and two nodes of one core each."""
    from ray.cluster_utils import Cluster

    prompt = {
        "health_check_initial_delay_ms": 0,
        "health_check_period_ms": 500,
        "health_check_timeout_ms": 1000,
        "health_check_failure_threshold": 2,
    }
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    tests = [Path(__file__).parents[1], PACKAGE.parent]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, tests)))  # of the nodes
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 100 << 20}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nodes = Cluster(initialize_head=True, head_node_args=head | {"_system_config": prompt})
        for _ in range(2):
            nodes.add_node(**NODE, wait=False)
        nodes.wait_for_nodes()
        yield nodes
        ray.shutdown()
        nodes.shutdown()


def test_every_photo_has_one_outcome_whatever_is_killed(cluster, tmp_path, capsys, monkeypatch):
    assert ray_nodes.connect(cluster.address)
    check_another_release_is_refused(monkeypatch)
    check_kills(tmp_path)
    assert capsys.readouterr().out == ""


@pytest.mark.thorough
def test_parquet_from_the_command_line(cluster, tmp_path, capsys):
    folder = tmp_path
    import pyarrow as pa
    from pyarrow import parquet

    dark_photo(64, 48, bright=(50, 20, 60, 30)).save(folder / "photo.jpg")
    photo = (folder / "photo.jpg").read_bytes()
    table = {"path": ["a/x.jpg", "b/x.jpg", "c.jpg"], "bytes": [photo, photo, b"no photo"]}
    parquet.write_table(pa.table(table), folder / "photos.parquet")
    model = write_model(folder / "stand-in.onnx")
    wanted = [folder / "photos.parquet", "--cluster", cluster.address, "--model", model]
    wanted += ["--output-dir", folder / "out", "--results", folder / "done.parquet"]
    assert crop_command.main([*map(str, wanted), "--json"]) == 1
    shown = {line["photo"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert {name: line["status"] for name, line in shown.items()} == {
        "a/x.jpg": "cropped",
        "b/x.jpg": "cropped",
        "c.jpg": "failed",
    }
    rows = parquet.read_table(folder / "done.parquet").to_pylist()
    assert {row["photo"]: row["files"] for row in rows} == {
        "a/x.jpg": [str(folder / "out/a/x-1x1.jpg")],
        "b/x.jpg": [str(folder / "out/b/x-1x1.jpg")],
        "c.jpg": [],
    }
    assert all(Path(file).stat().st_size for row in rows for file in row["files"])


def check_another_release_is_refused(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ray_nodes, "package_state", lambda: "9.9.9 (of this machine)")
        wanted = r"node .* has saliency-crop .*, this machine has 9\.9\.9 .*; install the same"
        with pytest.raises(ClusterError, match=wanted):
            ray_nodes.check_nodes(shared={}, files={})


def check_kills(folder):
    names = [f"p{number}" for number in range(20)]
    for place, name in ((3, "poison"), (9, "worker"), (15, "disk"), (18, "node")):
        names.insert(place, name)
    for name in names:
        (folder / f"{name}.jpg").write_bytes(b"\xff\xd8\xff" + name.encode())
    photos = [ListedPhoto(folder / f"{name}.jpg") for name in names]
    outcomes = list(
        crop_dataset(
            list_dataset(photos, worker_count=2),
            CROPS,
            BatchOptions(output_dir=folder / "out"),
            photos=photos,
            make_cropper=make_stand_in,
        )
    )
    assert Counter(one.photo for one in outcomes) == Counter(photos)
    failed = {one.photo.path.stem: one.error for one in outcomes if one.error is not None}
    assert list(failed) == ["poison"]
    assert "2 times (SIGSEGV)" in failed["poison"]
    made = {file.name for file in (folder / "out").iterdir()}
    assert made == {f"{name}-1x1.jpg" for name in names if name != "poison"}
    assert (folder / "node.tried").exists()
    assert sum(node["Alive"] for node in ray.nodes()) == 2


def test_address_where_nobody_listens_is_refused_at_once(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(ClusterError, match=f"no Ray cluster at {address}: Connection refused"):
        ray_nodes.connect(address)
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ClusterError, match=f"no Ray cluster at {address}: Connection refused"):
        ray_nodes.connect()


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:", ":6379", "a b:1"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ValueError, match="HOST:PORT"):
        ray_nodes.parse_address(address)
