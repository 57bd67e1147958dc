"""The page in a browser: open, drag, decide, reload, apply; drop on the service's page."""

import base64
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from runtime_fixtures import METADATA, dark_photo, write_model
from service_fixtures import running_service

from saliency.commands import main
from saliency.photo.reading import read_photo

CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    metadata = METADATA | {"input_pixels": 1024}
    return str(write_model(tmp_path_factory.mktemp("model") / "stand-in.onnx", metadata))


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = {"executable_path": CHROMIUM, "args": ["--no-sandbox"]}
        browser = playwright.chromium.launch(**options)
        yield browser
        browser.close()


@pytest.fixture
def folder(tmp_path):
    for name, left in (("a.jpg", 280), ("b.jpg", 20), ("c.jpg", 150)):
        dark_photo(400, 240, bright=(left, 40, left + 100, 180)).save(tmp_path / name)
    return tmp_path


def review(folder, model, *aspects):
    return running_service(str(folder), "--aspect", *aspects, "--model", model, verb="review")


def opened(browser, address, **options):
    """Return a page that fails the test on any error, and on any request to another host."""
    page = browser.new_page(**options)
    page.set_default_timeout(15_000)
    troubles = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "request",
        lambda one: (
            None if one.url.startswith((address, "data:", "blob:")) else troubles.append(one.url)
        ),
    )
    page.goto(address)
    return page, troubles


def decided(folder, name):
    stored = json.loads((folder / "decisions.json").read_text())
    (photo,) = [one for one in stored["photos"].values() if one["photo"] == name]
    return photo["person"]


def test_person_reviews_a_folder_and_crops_by_it(browser, folder, model, capsys):
    with review(folder, model, "1:1") as address:
        page, troubles = opened(browser, address, viewport={"width": 1000, "height": 700})
        page.get_by_text("0 of 3 photos decided", exact=True).wait_for()
        page.locator("#list button", has_text="a.jpg").click()
        window = page.locator("#window")
        page.locator("#about", has_text="240 × 240").wait_for()
        before = window.bounding_box()
        page.mouse.move(before["x"] + 40, before["y"] + 40)
        page.mouse.down()
        page.mouse.move(before["x"] - 60, before["y"] + 40, steps=5)
        page.mouse.up()
        page.get_by_text("You decided this window.").wait_for()
        first = decided(folder, "a.jpg")["1:1"]
        scale = 400 / page.locator("#frame").bounding_box()["width"]
        assert abs(160 - 100 * scale - first["x"]) <= 2
        window.focus()
        page.keyboard.press("-")
        page.keyboard.press("ArrowDown")
        page.wait_for_timeout(700)
        smaller = decided(folder, "a.jpg")["1:1"]
        assert smaller["width"] == smaller["height"] < 240
        assert smaller["y"] > first["y"]
        page.locator("#list button", has_text="b.jpg").click()
        page.keyboard.press("n")
        page.get_by_text("You want no crop.").wait_for()
        page.keyboard.press("d")
        page.locator("#density").wait_for()
        page.reload()
        page.get_by_text("2 of 3 photos decided").wait_for()
        page.locator("#filter").select_option("open")
        page.locator("#list button", has_text="c.jpg").click()
        page.get_by_role("button", name="Accept").click()
        page.get_by_text("3 of 3 photos decided").wait_for()
        assert troubles == []
    assert main(["crop", str(folder), "--decisions", str(folder / "decisions.json")]) == 0
    capsys.readouterr()
    sizes = {path.name: read_photo(path).shape[:2] for path in folder.glob("*-1x1.jpg")}
    side = smaller["width"]
    assert sizes == {"a-1x1.jpg": (side, side), "c-1x1.jpg": (240, 240)}


def test_page_is_accessible_and_fits_a_phone(browser, folder, model):
    from axe_core_python.sync_playwright import Axe

    with review(folder, model, "1:1", "4:5") as address:
        for size in ({"width": 1200, "height": 800}, {"width": 360, "height": 740}):
            page, troubles = opened(browser, address, viewport=size)
            page.get_by_text("0 of 3 photos decided", exact=True).wait_for()
            page.locator("#about", has_text="×").wait_for()
            found = Axe().run(page)["violations"]
            assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
            scrolled = page.locator("html").evaluate("one => one.scrollWidth - one.clientWidth")
            assert scrolled <= 0
            assert page.locator("#frame").bounding_box()["width"] > 250
            assert troubles == []
            page.close()


def test_thousand_photos_scroll_by_parts(browser, tmp_path, model):
    rng = np.random.default_rng(0)
    for number in range(300):
        pixels = rng.integers(0, 255, (6, 9, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number:04}.png")
    with review(tmp_path, model, "1:1") as address:
        page, troubles = opened(browser, address)
        page.locator("#list li").nth(299).wait_for(state="attached")
        spent = page.locator("nav").evaluate(
            """async (nav) => {
              const times = [];
              for (let at = 0; at < 30; at += 1) {
                const start = performance.now();
                nav.scrollTop += 400;
                await new Promise(requestAnimationFrame);
                times.push(performance.now() - start);
              }
              return times.sort((one, other) => one - other)[15];
            }"""
        )
        assert spent < 200
        assert troubles == []


def test_dropped_photo_is_cropped_and_its_decision_saved(browser, folder, model, tmp_path):
    with running_service("--model", model) as address:
        page, troubles = opened(browser, address)
        page.get_by_text("Drop photos here").wait_for()
        data = base64.b64encode((folder / "a.jpg").read_bytes()).decode()
        page.locator("#stage").evaluate(
            """(stage, data) => {
              const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
              const dataTransfer = new DataTransfer();
              dataTransfer.items.add(new File([bytes], "a.jpg", { type: "image/jpeg" }));
              stage.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
            }""",
            data,
        )
        page.locator("#about", has_text="×").wait_for()
        page.locator("#open").set_input_files(str(folder / "b.jpg"))
        page.locator("#list button", has_text="b.jpg").wait_for()
        page.keyboard.press("c")
        page.get_by_text("You decided this window.").wait_for()
        with page.expect_download() as download:
            page.get_by_role("button", name="Save decisions").click()
        download.value.save_as(folder / "decisions.json")
        assert troubles == []
    shown = decided(folder, "a.jpg")["16:9"]
    assert {key: shown[key] for key in ("x", "width")} == {"x": 0, "width": 400}
    assert (
        main(
            [
                "crop",
                str(folder / "a.jpg"),
                "--aspect",
                "16:9",
                "--decisions",
                str(folder / "decisions.json"),
                "--output-dir",
                str(tmp_path / "crops"),
            ]
        )
        == 0
    )
