import numpy as np
import pytest
import torch
from PIL import Image
from training_fixtures import TINY

from saliency.commands import export
from saliency.commands.jobs import integers
from saliency.commands.jobs.integers import read_examples
from saliency.model.checkpoint import load_model, save_model
from saliency.model.loading import load_look
from saliency.model.network import SaliencyModel
from saliency.prediction.predictor import Predictor
from saliency.prediction.shipped_models import model_path


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    save_model(SaliencyModel(TINY), tmp_path / "tiny.safetensors", scores={"nss": 3.0})
    return tmp_path / "tiny.safetensors"


def test_model_is_written_beside_its_weights(model, capsys):
    assert export.main([str(model)]) == 0
    assert capsys.readouterr().out == f"written: {model.with_suffix('.onnx')}\n"
    metadata = Predictor(model.with_suffix(".onnx")).metadata
    assert (metadata["name"], metadata["scores"]) == ("tiny", {"nss": 3.0})


def test_model_is_written_where_it_is_asked_for(model, tmp_path):
    assert export.main([str(model), "--out", str(tmp_path / "other.onnx")]) == 0
    assert Predictor(tmp_path / "other.onnx").metadata["name"] == "other"
    assert not model.with_suffix(".onnx").exists()


def test_file_that_exists_is_not_replaced_unasked(model, capsys):
    model.with_suffix(".onnx").write_bytes(b"precious")
    assert export.main([str(model)]) == 1
    assert "exists already; overwrite it" in capsys.readouterr().err
    assert model.with_suffix(".onnx").read_bytes() == b"precious"
    assert export.main([str(model), "--overwrite"]) == 0
    assert Predictor(model.with_suffix(".onnx")).metadata["name"] == "tiny"


@pytest.mark.parametrize("content", [None, b"no model"], ids=["missing", "text"])
def test_model_that_cannot_be_read_is_one_line_and_status_1(tmp_path, capsys, content):
    path = tmp_path / "model.safetensors"
    if content is not None:
        path.write_bytes(content)
    assert export.main([str(path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("saliency export: error: ")
    assert str(path) in line
    assert not path.with_suffix(".onnx").exists()


def test_folder_that_does_not_exist_is_one_line_and_status_1(model, tmp_path, capsys):
    assert export.main([str(model), "--out", str(tmp_path / "none" / "model.onnx")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot write" in line


def test_model_itself_is_never_replaced(model, capsys):
    before = model.read_bytes()
    assert export.main([str(model), "--out", str(model), "--overwrite"]) == 1
    assert "expected another file to write to" in capsys.readouterr().err
    assert model.read_bytes() == before


def test_other_endings_are_refused(model, tmp_path, capsys):
    assert export.main([str(model), "--out", str(tmp_path / "model.pt")]) == 1
    assert "expected a file with the ending .onnx or .safetensors" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".onnx", ".safetensors"])
def test_half_as_large_a_file_predicts_the_same(model, tmp_path, suffix):
    paths = [tmp_path / f"{name}{suffix}" for name in ("whole", "half")]
    assert export.main([str(model), "--out", str(paths[0])]) == 0
    assert export.main([str(model), "--out", str(paths[1]), "--half"]) == 0
    photo = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    whole, half = (load_look(path)(photo) for path in paths)
    np.testing.assert_allclose(half, whole, rtol=0, atol=0.02)
    assert not np.array_equal(half, whole)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos" / "inner"
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    for number in range(3):
        photo = random.integers(0, 256, (70, 90 + 20 * number, 3), dtype=np.uint8)
        Image.fromarray(photo).save(folder / f"{number}.png")
    return folder.parent


def test_file_that_computes_in_integers_predicts_nearly_the_same(model, tmp_path, photos, capsys):
    paths = [tmp_path / "whole.onnx", tmp_path / "integers.onnx"]
    assert export.main([str(model), "--out", str(paths[0])]) == 0
    assert export.main([str(model), "--out", str(paths[1]), "--int8", str(photos)]) == 0
    photo = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    whole, integers = (load_look(path)(photo) for path in paths)
    np.testing.assert_allclose(integers, whole, rtol=0, atol=0.1)
    assert not np.allclose(integers, whole, rtol=0, atol=1e-5)
    assert np.exp(integers).sum() == pytest.approx(1, abs=1e-5)
    first, second = (Predictor(path).metadata | {"name": ""} for path in paths)
    assert second.pop("precision") == "int8"
    assert (first.pop("scores"), second.pop("scores")) == ({"nss": 3.0}, {})  # those of float32
    assert first == second
    seen = capsys.readouterr()
    assert "% of a density, in the mean of these 3 photos" in seen.out
    assert "warning: 3 photos show few of the values to come" in seen.err


def test_difference_of_integers_is_that_from_the_softened_model(tmp_path, photos, capsys):
    out = ["--out", str(tmp_path / "soft.onnx"), "--int8", str(photos)]
    assert export.main(["fast", *out, "--sharpness", "0.01"]) == 0
    share = capsys.readouterr().out.partition("8-bit integers move ")[2].partition("%")[0]
    assert float(share) < 0.2  # 2.1 where it is as sharp as it was


def test_integers_need_a_folder_of_photos(model, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for folder, reason in (
        (tmp_path / "none", "there is none of that name"),
        (model, "that is a file"),
        (tmp_path / "empty", "none is of use"),
    ):
        assert export.main([str(model), "--int8", str(folder)]) == 1
        assert reason in capsys.readouterr().err
    assert not model.with_suffix(".onnx").exists()


def test_photos_of_no_use_are_left_out_and_others_take_their_place(photos, capsys, monkeypatch):
    monkeypatch.setattr(integers, "MOST_PHOTOS", 2)
    expected = [photo.shape for photo in read_examples(photos)]
    inner = photos / "inner"
    (inner / "0.png").write_bytes(b"no photo")
    for name, size in (("1.png", (300, 70)), ("1-small.png", (80, 20))):
        Image.new("RGB", size).save(inner / name)
    Image.new("RGB", (100, 80)).save(inner / "3.png")
    assert [photo.shape for photo in read_examples(photos)] == [(70, 130, 3), (80, 100, 3)]
    assert expected == [(70, 90, 3), (70, 110, 3)]
    assert "left out: " in capsys.readouterr().err


def test_files_of_the_package_are_not_replaced(tmp_path, capsys, monkeypatch, photos):
    monkeypatch.chdir(tmp_path)
    assert export.main(["fast", "--int8", str(photos)]) == 0
    assert "written: fast.onnx" in capsys.readouterr().out
    assert Predictor(tmp_path / "fast.onnx").metadata["precision"] == "int8"
    link = tmp_path / "link.onnx"
    link.symlink_to(model_path("fast"))
    assert export.main(["fast", "--overwrite", "--out", str(link)]) == 1
    assert "another file to write to than one of the package" in capsys.readouterr().err


def test_integers_are_for_onnx_files_alone_and_not_with_16_bits(model, tmp_path, capsys, photos):
    out = tmp_path / "copy.safetensors"
    assert export.main([str(model), "--out", str(out), "--int8", str(photos)]) == 1
    assert "only an .onnx file computes in 8-bit integers" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        export.main([str(model), "--half", "--int8", str(photos)])


def test_help_describes_every_option(capsys):
    with pytest.raises(SystemExit, match="0"):
        export.main(["--help"])
    text = capsys.readouterr().out
    assert all(option in text for option in ("MODEL", "--out", "--overwrite"))
    assert all(action.help for action in export.build_parser()._actions)


def test_softened_model_is_flatter_and_keeps_no_scores_of_the_other(model, tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    soft = tmp_path / "soft.onnx"
    assert export.main([str(model)]) == 0
    assert export.main([str(model), "--out", str(soft), "--sharpness", "0.5"]) == 0
    plain = np.log(Predictor(model.with_suffix(".onnx")).density(photo))
    softened = np.log(Predictor(soft).density(photo))
    assert softened.std() == pytest.approx(plain.std() / 2, rel=1e-3)
    assert Predictor(soft).metadata["scores"] == {}


@pytest.mark.parametrize(
    "option", [["--sharpness", "0"], ["--smoothing", "-1"], ["--smoothing", "x"]]
)
def test_softening_by_nonsense_is_refused(model, option, capsys):
    with pytest.raises(SystemExit) as stop:
        export.main([str(model), *option])
    assert stop.value.code == 2
    assert "expected a number" in capsys.readouterr().err


def test_half_as_large_a_file_keeps_the_statistics_that_training_needs(model, tmp_path):
    assert export.main([str(model), "--out", str(tmp_path / "half.safetensors"), "--half"]) == 0
    whole, half = (
        load_model(model).state_dict(),
        load_model(tmp_path / "half.safetensors").state_dict(),
    )
    for name, value in whole.items():
        if value.ndim < 2:
            assert torch.equal(half[name], value), name
