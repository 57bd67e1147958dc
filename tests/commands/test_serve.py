"""`saliency serve` as its user starts and stops it."""

import socket
import sys
import urllib.request
from pathlib import Path

import pytest
from service_fixtures import running_service

from saliency.commands import main

ROOT = Path(__file__).parents[2]


def test_service_runs_until_it_is_stopped():
    with running_service("--model", "fast") as address:
        photo = (ROOT / "data" / "photos" / "rocket.jpg").read_bytes()
        request = urllib.request.Request(f"{address}/v1/crops?aspect=1:1&max-size=64", photo)
        request.add_header("Accept", "image/*")
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.read(3) == b"\xff\xd8\xff"


def test_port_in_use_is_one_line(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"127.0.0.1:{port}" in line
    assert "--port" in line


@pytest.mark.parametrize(
    ("verb", "missing"),
    [
        ("serve", "uvicorn"),
        ("serve", "fastapi"),
        ("serve", "prometheus_client"),
        ("review", "fastapi"),
    ],
)
def test_missing_extra_is_named(monkeypatch, capsys, verb, missing):
    for name in [
        name for name in sys.modules if name.startswith(("saliency.service", "saliency.review"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    folder = [str(ROOT / "data" / "photos")] if verb == "review" else []
    assert main([verb, *folder, "--port", "0"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert 'pip install "saliency-crop[serve]"' in line


@pytest.mark.parametrize("option", [["--port", "99999"], ["--queue", "-1"], ["--max-seconds", "0"]])
def test_wrong_option_is_refused(option):
    with pytest.raises(SystemExit, match="2"):
        main(["serve", *option])
