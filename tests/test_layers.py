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

FLOORS = (
    ("saliency",),  # the core: errors, geometry, files, memory, colours
    ("saliency.photo.metadata", "saliency.fixations", "saliency.pruning.latency"),
    ("saliency.photo", "saliency.pruning.channels"),
    ("saliency.pruning",),
    ("saliency.crop_windows", "saliency.datasets", "saliency.pruning.penalties"),
    ("saliency.prediction", "saliency.datasets.layouts", "saliency.pruning.methods"),
    ("saliency.cropping", "saliency.model", "saliency.pruning.loop"),
    ("saliency.batch", "saliency.evaluation"),
    ("saliency.evaluation.report", "saliency.evaluation.calibration", "saliency.training.inputs"),
    ("saliency.training.processes",),
    ("saliency.training",),
    ("saliency.compression",),
    ("saliency.commands.arguments",),
    ("saliency.review",),
    ("saliency.service",),
    ("saliency.commands.jobs",),
    ("saliency.commands",),
)
"""The folders, lowest first; one imports from folders below its own floor only, or from itself."""

RUNTIME = {
    *(
        "saliency",
        "saliency.photo.metadata",
        "saliency.photo",
        "saliency.crop_windows",
        "saliency.prediction",
    ),
    *("saliency.cropping", "saliency.batch"),
}
"""Folders that cropping needs, which run on the base installation; and of the commands these:"""

RUNTIME_COMMANDS = {
    *("saliency.commands", "saliency.commands.crop", "saliency.commands.jobs.crop_job"),
    *("saliency.commands.jobs", "saliency.commands.jobs.reporting"),
    *("saliency.commands.arguments.choice", "saliency.commands.arguments.cropping"),
    *("saliency.commands.arguments.aspects", "saliency.commands.arguments.cluster"),
    "saliency.commands.arguments.fields",
}

SERVICE = {"saliency.review", "saliency.service"}
"""Folders of the service, which need the runtime ring and the extra `serve`; and these commands:"""

SERVICE_COMMANDS = {"saliency.commands.serve", "saliency.commands.review"}

CLUSTER = {
    *(f"saliency.batch.{name}" for name in ("cluster", "ray_nodes", "results", "shards")),
    *("saliency.object_store", "saliency.commands.jobs.crop_cluster"),
}
"""Modules of cropping on a cluster, which need the runtime ring and the extra `ray`."""

MOST_FILES = 13

HOMES = importlib.metadata.packages_distributions()
RANKS = {folder: rank for rank, floor in enumerate(FLOORS) for folder in floor}


def module_name(path: Path) -> str:
    """Return the dotted name of a module; of a folder's `__init__.py`, that of the folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in (ROOT / "saliency").rglob("*.py")}


def folder_of(module: str) -> str:
    """Return the folder that a module lies in, as a dotted name."""
    path = FILES[module]
    return ".".join(path.parent.relative_to(ROOT).parts)


def is_runtime(module: str) -> bool:
    is_near = folder_of(module) in RUNTIME or module in RUNTIME_COMMANDS
    return is_near and module not in CLUSTER


def is_service(module: str) -> bool:
    return folder_of(module) in SERVICE or module in SERVICE_COMMANDS


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names of all that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: expected an absolute import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"  # of a module, or of something in one
                yield name if name in FILES else str(node.module)


def own_imports(module: str) -> set[str]:
    """Return the modules of this package that a module imports."""
    return {name for name in imports(FILES[module]) if name.partition(".")[0] == "saliency"}


def lazy_imports(module: str) -> set[str]:
    """Return the modules of this package that a module imports inside of functions only."""
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    early = {f"{node.module}" for node in tree.body if isinstance(node, ast.ImportFrom)}
    return own_imports(module) - early


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


def test_every_folder_has_its_floor():
    assert set(RANKS) == {folder_of(module) for module in FILES}


@pytest.mark.parametrize("module", sorted(FILES))
def test_imports_point_to_lower_floors(module):
    own = folder_of(module)
    others = {folder_of(name) for name in own_imports(module) if name in FILES} - {own}
    if module != "saliency":  # it names its public modules in strings, fetched on use
        assert {name for name in others if RANKS[name] >= RANKS[own]} == set()


@pytest.mark.parametrize("folder", sorted(RANKS))
def test_folders_stay_small(folder):
    files = [m for m in FILES if folder_of(m) == folder and FILES[m].name != "__init__.py"]
    assert len(files) <= MOST_FILES


@pytest.mark.parametrize("module", sorted(m for m in FILES if FILES[m].name == "__init__.py"))
def test_a_folder_imports_nothing_by_itself(module):
    if module not in ("saliency", "saliency.commands", "saliency.pruning"):
        assert set(imports(FILES[module])) == set()


@pytest.mark.parametrize("module", sorted(filter(is_runtime, FILES)))
def test_runtime_ring_imports_nothing_of_the_training_ring(module):
    entered_late = CLUSTER & lazy_imports(module)  # with --cluster
    others = {name for name in own_imports(module) if not is_runtime(name)}
    assert others - entered_late == set()


@pytest.mark.parametrize("module", sorted(filter(is_runtime, FILES)))
def test_runtime_ring_needs_the_base_installation_only(module):
    base = declared("heic")  # asked for only where there is such a photo
    assert [homes for homes in distributions(module) if not homes & base] == []


@pytest.mark.parametrize("module", sorted(filter(is_service, FILES)))
def test_service_needs_the_runtime_ring_and_its_own_extra(module):
    own = {name for name in own_imports(module) if not (is_runtime(name) or is_service(name))}
    assert own == set()
    assert [homes for homes in distributions(module) if not homes & declared("serve")] == []


@pytest.mark.parametrize("module", sorted(CLUSTER))
def test_cluster_needs_the_runtime_ring_and_its_own_extra(module):
    pytest.importorskip("ray", reason="needs the extra ray")
    own = {name for name in own_imports(module) if not (is_runtime(name) or name in CLUSTER)}
    assert own == set()
    allowed = declared("ray")
    assert [homes for homes in distributions(module) if not homes & allowed] == []


TRAINING = {module for module in FILES if not (is_runtime(module) or is_service(module))} - CLUSTER


@pytest.mark.parametrize("module", sorted(TRAINING))
def test_training_ring_needs_the_extra_train_only(module):
    known = declared("train")
    assert [homes for homes in distributions(module) if not homes & known] == []


def test_lazy_import_and_imported_submodule_are_seen(tmp_path):
    file = tmp_path / "example.py"
    file.write_text("from saliency import geometry, Window\ndef f():\n    import torch.nn\n")
    assert set(imports(file)) == {"saliency.geometry", "saliency", "torch.nn"}


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("saliency/**/*.py")) + sorted(ROOT.glob("tests/**/*.py")), ids=str
)
def test_files_and_functions_stay_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    long = [f.name for f in functions(path) if (f.end_lineno or 0) - f.lineno >= 80]
    assert long == []
