"""The service as its callers see it, with a stand-in for the model."""

import base64
import json
import threading
from io import BytesIO

import numpy as np
import pytest
from fastapi.testclient import TestClient
from fault_fixtures import (
    KINDS,
    cut_short,
    header_that_lies,
    mutated,
    png_bomb,
    small_photo,
    with_hole,
)
from PIL import Image
from runtime_fixtures import METADATA, dark_photo, write_model

from saliency import ChoiceOptions, Predictor, crop
from saliency.commands.crop import main as crop_main
from saliency.service.app import create_app, wants_image
from saliency.service.options import ServiceOptions

IMAGE = {"Accept": "image/*"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(
        tmp_path_factory.mktemp("model") / "stand-in.onnx", METADATA | {"input_pixels": 4096}
    )


@pytest.fixture(scope="module")
def client(model):
    options = ServiceOptions(
        model=str(model), workers=2, max_bytes=400_000, max_pixels=1_000_000, max_frames=3
    )
    with TestClient(create_app(options)) as client:
        yield client


@pytest.fixture(scope="module")
def photo():
    return encoded(dark_photo(300, 200, bright=(220, 60, 280, 140)))


def encoded(image, as_format="jpeg", **options):
    buffer = BytesIO()
    image.save(buffer, as_format, **options)
    return buffer.getvalue()


def error_of(response):
    """Return the only thing that a refusal holds: one line."""
    (key,) = response.json()
    assert key == "error"
    message = response.json()["error"]
    assert message
    assert "\n" not in message
    return message


def test_json_is_that_of_the_command(client, model, photo, tmp_path, capsys):
    (tmp_path / "photo.jpg").write_bytes(photo)
    options = ["--aspect", "1:1", "9:16", "--keep", "0,0,20,20", "--json", "--dry-run"]
    assert crop_main([str(tmp_path / "photo.jpg"), *options, "--model", str(model)]) == 0
    expected = json.loads(capsys.readouterr().out)
    response = client.post("/v1/crops?aspect=1:1&aspect=9:16&keep=0,0,20,20", content=photo)
    assert response.status_code == 200
    ignored = {"photo": "photo", "timing_ms": None}
    assert response.json() | ignored == expected | ignored


def test_image_is_the_crop_that_python_makes(client, model, photo):
    response = client.post("/v1/crops?aspect=1:1&format=png", content=photo, headers=IMAGE)
    expected = crop(
        Image.open(BytesIO(photo)), "1:1", options=ChoiceOptions(), predictor=Predictor(model)
    )
    assert response.headers["content-type"] == "image/png"
    window = expected.choice.window
    box = f"{window.x},{window.y},{window.width},{window.height}"
    assert response.headers["saliency-window"] == box
    found = np.asarray(Image.open(BytesIO(response.content)))
    np.testing.assert_array_equal(found, np.asarray(expected.image))


def test_form_holds_photo_and_parameters(client, photo):
    fields = {"aspect": "1:1", "max-size": "50"}
    response = client.post("/v1/crops", files={"photo": photo}, data=fields, headers=IMAGE)
    assert Image.open(BytesIO(response.content)).size == (50, 50)


def test_density_is_a_picture_of_the_density(client, photo):
    density = client.post("/v1/crops?density", content=photo).json()["density"]
    levels = np.asarray(Image.open(BytesIO(base64.b64decode(density["png"]))))
    assert levels.shape == (density["height"], density["width"])
    column = levels.argmax() % levels.shape[1]
    assert 0.7 < column / density["width"] < 0.95
    assert levels.max() == 255


def test_no_crop_is_an_empty_answer(client, photo):
    asked = "/v1/crops?aspect=1:1&fallback=skip&min-gain=1"
    response = client.post(asked, content=photo, headers=IMAGE)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["saliency-outcome"] == "skipped"


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("aspect=wide", "aspect: expected W:H"),
        ("size=0x4", "size: expected WxH"),
        ("quality=101", "quality"),
        ("strip=maybe", "true or false"),
        ("colour=red", "unknown parameter 'colour'"),
        ("quality=5&quality=6", "several times"),
        ("max-size=5&scale=2", "not allowed with"),
        ("lossless&scale=2", "lossless: not allowed"),
        ("aspect=best-of 1:1", "best-of needs two"),
        ("model=../../model.onnx", "invalid choice"),
        ("keep=9000,0,5,5", "expected the box to keep"),
    ],
)
def test_wrong_parameter_is_refused_by_name(client, photo, query, named):
    response = client.post(f"/v1/crops?{query}", content=photo)
    assert response.status_code in (400, 422)
    assert named in error_of(response)


def test_several_ratios_are_no_image(client, photo):
    response = client.post("/v1/crops?aspect=1:1&aspect=4:5", content=photo, headers=IMAGE)
    assert response.status_code == 400
    assert "one ratio" in error_of(response)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"not a photo", 422),
        (b"\xff\xd8\xff\xe0" + bytes(400), 422),
        (bytes(400_001), 413),
        (encoded(Image.new("L", (1001, 1000)), "png"), 413),
        (
            encoded(
                Image.new("L", (9, 9)),
                "gif",
                save_all=True,
                append_images=[Image.new("L", (9, 9), one) for one in (50, 100, 150)],
            ),
            413,
        ),
    ],
    ids=["nothing", "text", "zeros", "bytes", "pixels", "frames"],
)
def test_what_is_no_photo_or_too_large_is_refused(client, content, status):
    response = client.post("/v1/crops", content=content)
    assert response.status_code == status
    error_of(response)
    assert client.get("/healthz").text == "ok"


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_photos_are_cropped_or_refused(client, kind):
    if kind == "heic":
        pytest.importorskip("pillow_heif", reason="the extra heic")
    rng, data = np.random.default_rng(KINDS.index(kind)), small_photo(kind)
    for number in range(12):
        headers = IMAGE if number % 2 else {}
        asked = "/v1/crops?aspect=1:1&max-size=64"
        response = client.post(asked, content=mutated(data, rng), headers=headers)
        assert response.status_code in (200, 413, 422)
        if response.status_code != 200:
            error_of(response)
    assert client.get("/healthz").text == "ok"


@pytest.mark.parametrize("damage", [header_that_lies, png_bomb, cut_short, with_hole])
def test_hostile_and_damaged_files_are_cropped_or_refused(client, tmp_path, damage):
    path = tmp_path / ("bad.png" if damage in (png_bomb, with_hole) else "bad.jpg")
    damage(path)
    response = client.post("/v1/crops", content=path.read_bytes())
    if damage in (header_that_lies, png_bomb):
        assert response.status_code in (413, 422)
        assert "pixels" in error_of(response)
    else:
        assert response.json()["warnings"]


def test_broken_form_is_refused(client):
    kind = {"content-type": "multipart/form-data; boundary=x"}
    for body in (b"--x\r\nnonsense", b"", b"--x--"):
        assert client.post("/v1/crops", content=body, headers=kind).status_code == 400
    kind = {"content-type": "multipart/form-data"}
    assert client.post("/v1/crops", content=b"abc", headers=kind).status_code == 400


def test_addresses_are_off_and_then_for_allowed_hosts_only(client, model):
    response = client.get("/v1/crops?url=http://127.0.0.1/a.jpg")
    assert (response.status_code, "--allow-host" in error_of(response)) == (403, True)
    options = ServiceOptions(model=str(model), workers=1, allow_host=("images.example",))
    with TestClient(create_app(options)) as open_client:
        for url, status in (
            ("http://127.0.0.1/a.jpg", 403),
            ("http://images.example.evil.example/a.jpg", 403),
            ("http://images.example:81/a.jpg", 403),
            ("http://images.example@127.0.0.1/a.jpg", 400),
            ("file:///etc/passwd", 400),
            ("images.example/a.jpg", 400),
            ("http://[::1/a.jpg", 400),
        ):
            assert open_client.get("/v1/crops", params={"url": url}).status_code == status
        assert open_client.get("/v1/crops").status_code == 400


@pytest.fixture
def web(photo):
    """A web server with a photo, and a redirect."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Site(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(302 if self.path == "/moved" else 200)
            self.send_header("Location", "/photo.jpg")
            self.end_headers()
            self.wfile.write(photo)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_photo_of_an_allowed_host_is_cropped_and_may_be_cached(model, web):
    options = ServiceOptions(model=str(model), workers=1, allow_host=(web,), max_age=60)
    with TestClient(create_app(options)) as client:
        asked = {"url": f"http://{web}/photo.jpg", "aspect": "1:1"}
        first = client.get("/v1/crops", params=asked)
        assert first.status_code == 200
        assert first.headers["cache-control"] == "public, max-age=60"
        known = {"If-None-Match": first.headers["etag"]}
        assert client.get("/v1/crops", params=asked, headers=known).status_code == 304
        other = client.get("/v1/crops", params=asked | {"aspect": "2:1"}, headers=known)
        assert other.status_code == 200
        moved = client.get("/v1/crops", params={"url": f"http://{web}/moved"})
        assert (moved.status_code, "302" in error_of(moved)) == (502, True)


def test_full_queue_is_told_to_try_again(model, photo, monkeypatch):
    from saliency.service.work import PhotoWork

    held, begun = threading.Event(), threading.Event()
    whole = PhotoWork.crop

    def slow(self, *arguments, **options):
        begun.set()
        held.wait(20)
        return whole(self, *arguments, **options)

    monkeypatch.setattr(PhotoWork, "crop", slow)
    with TestClient(create_app(ServiceOptions(model=str(model), workers=1, queue=0))) as client:
        answers = []
        thread = threading.Thread(
            target=lambda: answers.append(client.post("/v1/crops", content=photo))
        )
        thread.start()
        begun.wait(20)
        refused = client.post("/v1/crops", content=photo)
        held.set()
        thread.join()
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert answers[0].status_code == 200
        assert client.post("/v1/crops", content=photo).status_code == 200


def test_photo_that_takes_too_long_is_refused(model, photo, monkeypatch):
    from saliency.service.work import PhotoWork

    held = threading.Event()
    monkeypatch.setattr(PhotoWork, "crop", lambda *_, **__: held.wait(20))
    options = ServiceOptions(model=str(model), workers=1, max_seconds=1)
    with TestClient(create_app(options)) as client:
        response = client.post("/v1/crops", content=photo)
        held.set()
        assert (response.status_code, "1 seconds" in error_of(response)) == (422, True)


def test_metrics_count_requests_by_status(client, photo):
    def count(status):
        lines = client.get("/metrics").text.splitlines()
        name = f'saliency_requests_total{{status="{status}"}} '
        return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))

    before = count(200), count(400)
    client.post("/v1/crops", content=photo)
    client.post("/v1/crops?aspect=no", content=photo)
    assert (count(200), count(400)) == (before[0] + 1, before[1] + 1)


def test_requests_are_logged_without_their_photo(client, photo, caplog):
    caplog.set_level("INFO", "saliency.service")
    client.post("/v1/crops?keep=1,2,3,4", content=photo)
    entry = json.loads(caplog.messages[-1])
    assert set(entry) == {"time", "method", "path", "status", "ms", "bytes"}
    assert entry["path"] == "/v1/crops"


def test_openapi_names_every_parameter_of_a_query(client):
    described = client.get("/openapi.json").json()["paths"]["/v1/crops"]["post"]
    names = {one["name"] for one in described["parameters"]}
    assert {"aspect", "size", "zoom", "keep", "avoid", "place", "faces", "model"} <= names
    assert {"output-dir", "overwrite", "resume", "json"} & names == set()
    assert described["responses"]["200"]["content"]["application/json"]["example"]["schema"] == 1


def test_readiness_ends_with_the_service(model):
    app = create_app(ServiceOptions(model=str(model), workers=1))
    client = TestClient(app)
    assert client.get("/readyz").status_code == 503
    with client:
        assert client.get("/readyz").text == "ok"
    assert client.get("/readyz").status_code == 503


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("image/*", True),
        ("image/avif,image/webp,*/*;q=0.8", True),
        ("*/*", False),
        ("", False),
        ("application/json, image/png", False),
    ],
)
def test_image_is_wanted_where_it_is_named_before_json(accept, expected):
    assert wants_image(accept) == expected
