"""What the whole suite shares: where real eye-tracking data would lie."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "datasets"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/datasets")


def pytest_addoption(parser):
    parser.addoption(
        "--mutated-files",
        type=int,
        default=1000,
        help="damaged photos that tests/test_faults.py tries (default: %(default)s)",
    )
    parser.addoption(
        "--thorough",
        action="store_true",
        help="run the further cases that prove in minutes what others show in seconds",
    )


def pytest_collection_modifyitems(config, items):
    if config.getoption("thorough"):
        return
    skipped = pytest.mark.skip(reason="a further case, with --thorough only")
    for item in items:
        if "thorough" in item.keywords:
            item.add_marker(skipped)


@pytest.fixture(scope="module")
def one_thread():
    """Torch with one thread: for networks this small two would wait for each other.

    It also fixes the order of sums, which runs that are to end alike depend on.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def idle_machine(monkeypatch):
    """Let no test depend on what else the machine does: commands warn of it."""
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0), raising=False)
