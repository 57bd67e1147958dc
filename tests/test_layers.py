"""How the package is built: who imports whom, what is declared, how long things may get."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = (
    ("saliency",),  # names its public modules in strings, fetched on use
    ("errors", "aspect", "allocator", "losses", "metrics", "readout", "set_bias", "shrinking"),
    ("bootstrap", "optimal_maps", "reliability"),
    ("training_options", "pruning_options", "choice_options"),
    ("pruning", "pruning.layers", "pruning.shapes"),
    ("atomic", "metadata", "window", "fixations", "backbone", "pruning.graph"),
    ("photo_format", "pixels", "jpeg_pixels", "xmp", "naming", "stopwatch", "memory"),
    ("carried", "animation", "photo_list", "focal_point", "confidence", "search", "subject"),
    ("deep", "jpeg_segments", "proposal"),
    ("choice",),
    ("image", "predictor", "render", "center_bias", "augmentation", "pruning.groups"),
    ("map_folder", "reference"),
    ("encoding", "lossless", "crop_report", "pruning.gates", "pruning.surgery", "model"),
    ("contact_sheet", "content"),
    ("cache", "crop_image"),
    ("crop_file", "datasets.dataset", "examples", "teacher", "evaluation", "checkpoint"),
    ("ceiling", "crop_plan"),
    ("summary",),
    ("pruning.compensation", "datasets.collecting", "datasets.matlab", "kept_batches"),
    ("datasets.cat2000", "datasets.marked", "datasets.mit1003", "datasets.pysaliency_files"),
    ("datasets.salicon", "datasets.scanpaths"),
    ("analysis", "datasets.folder", "datasets.osie", "training_data", "validation", "guide"),
    ("calibration", "cropping"),
    ("calibration_report",),
    ("calibration_plot",),
    ("datasets.expected",),
    ("datasets.inspection",),
    ("crop_run", "datasets", "predictions", "export", "run_folder", "stepping"),
    ("set_numbers",),
    ("scored_models", "adaptation"),
    ("score_report", "report_figures"),
    ("html_report",),
    (
        "pruning.channel_grid",
        "pruning.engines",
        "pruning.operations",
        "pruning.signals",
    ),
    ("pruning.network_graph", "pruning.latency", "pruning.row_graphs", "pruning.optimizers"),
    ("pruning.latency_file", "pruning.timing", "pruning.costs"),
    ("pruning.measuring", "pruning.selection"),
    ("training", "gauge"),
    ("pruning_learner", "pruning_report"),
    ("pruning_run",),
    ("pruning_job",),
    ("commands",),
    ("commands.options", "commands.choice_options", "commands.training_input"),
    ("commands.crop_options", "commands.cropping_job"),
    (
        "commands.crop",
        "commands.data",
        "commands.train",
        "commands.evaluate",
        "commands.export",
        "commands.adapt",
        "commands.calibrate",
        "commands.prune",
    ),
)
"""Every module, lowest first; it imports from layers below its own only."""

RUNTIME = {
    *("saliency", "errors", "aspect", "atomic", "window", "image", "predictor", "metadata"),
    *("photo_format", "pixels", "jpeg_pixels", "xmp", "carried", "animation", "deep"),
    *("jpeg_segments", "encoding", "lossless", "crop_file", "cropping", "crop_run", "render"),
    *("naming", "photo_list", "focal_point", "stopwatch", "crop_report", "contact_sheet"),
    *("commands", "commands.crop", "commands.crop_options", "commands.cropping_job"),
    *("choice_options", "confidence", "search", "subject", "proposal", "choice"),
    *("commands.choice_options", "crop_image", "crop_plan", "analysis", "content", "memory"),
}
"""What cropping needs, which runs on the base installation."""

HOMES = importlib.metadata.packages_distributions()
RANKS = {module: rank for rank, layer in enumerate(LAYERS) for module in layer}


def module_name(path: Path) -> str:
    """Return the name of a module inside the package; of the package itself, `saliency`."""
    parts = path.relative_to(ROOT / "saliency").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "saliency"


FILES = {module_name(path): path for path in (ROOT / "saliency").rglob("*.py")}


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names of all that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: expected an absolute import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"  # of a module, or of something in one
                yield name if name.removeprefix("saliency.") in FILES else str(node.module)


def own_imports(module: str) -> set[str]:
    """Return the modules of this package that a module imports."""
    names = {name for name in imports(FILES[module]) if name.partition(".")[0] == "saliency"}
    return {name.removeprefix("saliency.") for name in names}


def distributions(module: str) -> Iterator[set[str]]:
    """Yield, for each library that a module imports, the distributions that bring it."""
    for name in {name.partition(".")[0] for name in imports(FILES[module])}:
        if name != "saliency" and name not in sys.stdlib_module_names:
            assert name in HOMES, f"{FILES[module]}: {name} is not installed"
            yield {normalised(home) for home in HOMES[name]}


def normalised(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def declared(*extras: str) -> set[str]:
    """Return the distributions that pyproject.toml declares, for the base and some extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] + [
        line for extra in extras for line in project["optional-dependencies"][extra]
    ]
    return {normalised(re.match(r"[\w.-]+", line)[0]) for line in lines}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_every_module_has_its_layer():
    assert set(RANKS) == set(FILES)


@pytest.mark.parametrize("module", sorted(FILES))
def test_imports_point_to_lower_layers(module):
    upwards = {name for name in own_imports(module) if RANKS[name] >= RANKS[module]}
    assert upwards == set()


@pytest.mark.parametrize("module", sorted(RUNTIME))
def test_runtime_ring_imports_nothing_of_the_training_ring(module):
    assert own_imports(module) <= RUNTIME


@pytest.mark.parametrize("module", sorted(RUNTIME))
def test_runtime_ring_needs_the_base_installation_only(module):
    base = declared("heic")  # asked for only where there is such a photo
    assert [homes for homes in distributions(module) if not homes & base] == []


@pytest.mark.parametrize("module", sorted(set(FILES) - RUNTIME))
def test_training_ring_needs_the_extra_train_only(module):
    known = declared("train")
    assert [homes for homes in distributions(module) if not homes & known] == []


def test_lazy_import_and_imported_submodule_are_seen(tmp_path):
    file = tmp_path / "example.py"
    file.write_text("from saliency import metrics, Window\ndef f():\n    import torch.nn\n")
    assert set(imports(file)) == {"saliency.evaluation.metrics", "saliency", "torch.nn"}


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("saliency/**/*.py")) + sorted(ROOT.glob("tests/**/*.py")), ids=str
)
def test_files_and_functions_stay_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    long = [f.name for f in functions(path) if (f.end_lineno or 0) - f.lineno >= 80]
    assert long == []
