"""A review as its page uses it, without a browser."""

import json
from io import BytesIO

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from runtime_fixtures import METADATA, dark_photo, write_model

from saliency.commands import main
from saliency.errors import DecisionsError, PhotoError
from saliency.geometry import parse_aspect
from saliency.review.app import create_app
from saliency.review.session import ReviewSession

ASPECTS = {one: parse_aspect(one) for one in ("1:1", "16:9")}
WINDOW = {"x": 3, "y": 0, "width": 120, "height": 120}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    metadata = METADATA | {"input_pixels": 1024}
    return str(write_model(tmp_path_factory.mktemp("model") / "stand-in.onnx", metadata))


@pytest.fixture
def folder(tmp_path):
    dark_photo(200, 120, bright=(140, 20, 190, 90)).save(tmp_path / "a.jpg")
    dark_photo(200, 120, bright=(10, 20, 60, 90)).save(tmp_path / "b.jpg")
    (tmp_path / "c.jpg").write_bytes(b"not a photo")
    return tmp_path


def session(folder, model):
    return ReviewSession(folder, folder / "decisions.json", ASPECTS, model=model)


def opened(folder, model):
    return TestClient(create_app(session(folder, model), ["testserver"]))


def ready(client):
    """Return the photos once all were looked at."""
    for _ in range(200):
        photos = client.get("/review/photos").json()["photos"]
        if all(one["is_ready"] or one["error"] for one in photos):
            return photos
        import time

        time.sleep(0.05)
    raise AssertionError(photos)


def decide(client, number, window, aspect="1:1"):
    return client.put(
        f"/review/photos/{number}/decision", json={"aspect": aspect, "window": window}
    )


def test_photos_have_the_windows_of_the_command(folder, model, capsys):
    with opened(folder, model) as client:
        first, second, third = ready(client)
    assert "c.jpg" in third["error"]
    options = ["--aspect", "1:1", "--json", "--dry-run", "--model", model]
    assert main(["crop", str(folder / "a.jpg"), str(folder / "b.jpg"), *options]) == 0
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for shown, report in zip((first, second), reports, strict=True):
        proposed = shown["windows"][0]["model"]
        for key in ("x", "y", "width", "height", "reason"):
            assert proposed[key] == report["windows"][0][key]


def test_decision_is_on_the_disk_at_once_and_after_a_restart(folder, model):
    with opened(folder, model) as client:
        ready(client)
        assert decide(client, 0, WINDOW).status_code == 200
        stored = json.loads((folder / "decisions.json").read_text())
        assert len(stored["photos"]) == 2
        assert decide(client, 1, None).json()["windows"][0]["person"].keys() == {"time"}
    with opened(folder, model) as client:
        first, second, _ = ready(client)
        assert {key: first["windows"][0]["person"][key] for key in WINDOW} == WINDOW
        assert "x" not in second["windows"][0]["person"]
        assert decide(client, 0, "model").json()["windows"][0]["person"] is None


def test_restart_does_not_look_again(folder, model, monkeypatch):
    with opened(folder, model) as client:
        ready(client)
    (folder / "c.jpg").unlink()
    again = session(folder, model)
    monkeypatch.setattr(again._cropper, "look", None)
    with TestClient(create_app(again, ["testserver"])) as client:
        assert all(one["is_ready"] for one in ready(client))


def test_photo_that_changed_since_it_was_decided_is_named_and_its_decision_kept(folder, model):
    with opened(folder, model) as client:
        ready(client)
        decide(client, 0, WINDOW)
    dark_photo(200, 120, bright=(1, 1, 40, 40)).save(folder / "a.jpg")
    with opened(folder, model) as client:
        first, second, _ = ready(client)
        assert (first["has_changed"], second["has_changed"]) == (True, False)
        assert first["windows"][0]["person"] is None
        assert not decide(client, 0, None).json()["has_changed"]
    stored = json.loads((folder / "decisions.json").read_text())["photos"]
    kept = [one["person"]["1:1"] for one in stored.values() if one["photo"] == "a.jpg"]
    assert sorted("x" in one for one in kept) == [False, True]


def test_preview_and_density_have_the_photos_proportions(folder, model):
    with opened(folder, model) as client:
        preview = Image.open(BytesIO(client.get("/review/photos/0/preview").content))
        layer = Image.open(BytesIO(client.get("/review/photos/0/density").content))
    assert preview.size == layer.size == (200, 120)
    alpha = np.asarray(layer)[:, :, 3]
    assert 130 < alpha.max(axis=0).argmax() < 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"aspect": "1:1", "window": {"x": 150, "y": 0, "width": 100, "height": 100}}, 422),
        ({"aspect": "7:1", "window": None}, 422),
        ({"aspect": "1:1", "window": {"x": 1}}, 400),
        ({"aspect": "1:1"}, 400),
        ([1], 400),
    ],
)
def test_wrong_decision_is_refused(folder, model, body, status):
    with opened(folder, model) as client:
        ready(client)
        response = client.put("/review/photos/0/decision", json=body)
        assert response.status_code == status
        assert list(response.json()) == ["error"]
        assert client.get("/review/photos/99").status_code == 422


def test_other_sites_cannot_decide(folder, model):
    with opened(folder, model) as client:
        ready(client)
        form = {"Content-Type": "text/plain"}
        body = json.dumps({"aspect": "1:1", "window": None})
        refused = client.put("/review/photos/0/decision", content=body, headers=form)
        assert refused.status_code == 415
        assert client.get("/review/photos", headers={"Host": "evil.example"}).status_code == 400


def test_page_loads_nothing_from_other_hosts(folder, model):
    with opened(folder, model) as client:
        page = client.get("/")
        assert "default-src 'self'" in page.headers["content-security-policy"]
        for path in ("/", "/page.js", "/page.css"):
            assert "http://" not in client.get(path).text
            assert "https://" not in client.get(path).text


def test_folder_without_photos_and_a_file_on_others_are_refused(folder, model, tmp_path_factory):
    with opened(folder, model) as client:
        ready(client)
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(PhotoError, match="holds no photos"):
        ReviewSession(empty, empty / "decisions.json", ASPECTS, model=model)
    with pytest.raises(PhotoError, match="is none"):
        ReviewSession(folder / "a.jpg", empty / "decisions.json", ASPECTS, model=model)
    dark_photo(30, 20, bright=(1, 1, 9, 9)).save(empty / "x.jpg")
    with pytest.raises(DecisionsError, match="other photos"):
        ReviewSession(empty, folder / "decisions.json", ASPECTS, model=model)
