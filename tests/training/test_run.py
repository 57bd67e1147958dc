import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from training_fixtures import OPTIONS, read_training_data, write_spots

from saliency.datasets.dataset import MappedPhoto
from saliency.errors import CheckpointError, DatasetError
from saliency.model.checkpoint import load_model, read_metadata
from saliency.photo.reading import read_photo
from saliency.prediction.predictor import Predictor
from saliency.training import optimizer
from saliency.training import run as training
from saliency.training.data import TrainingData
from saliency.training.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return read_training_data(write_spots(tmp_path_factory.mktemp("data") / "spots"))


def train(data, path, **changes):
    options = dataclasses.replace(OPTIONS, **changes)
    folder = RunFolder(path)
    folder.start(options)
    return training.train(data, options, folder)


def history_of(path):
    return [json.loads(line) for line in (path / "history.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def learned(data, tmp_path_factory):
    """A run that is long enough to learn that people look at the bright spot."""
    path = tmp_path_factory.mktemp("run") / "learned"
    best = train(data, path, epochs=8, readout_rate=0.02, backbone_rate=3e-3, picture_epochs=3)
    return path, best


def test_training_raises_the_gain_over_the_center_bias(learned):
    path, _ = learned
    gains = [figures["information_gain_bits"] for figures in history_of(path)]
    assert gains[0] < 1
    assert max(gains) > 2.5


def test_best_epoch_is_what_is_kept(learned, data):
    path, best = learned
    assert best == max(history_of(path), key=lambda figures: figures["information_gain_bits"])
    assert read_metadata(path / "model.safetensors")["scores"] == best
    figures = training.validate(
        load_model(path / "model.safetensors"),
        data.validation,
        baseline=training.fit_center_bias(data.train, is_symmetric=True),
    )
    assert figures == pytest.approx(best, abs=1e-5)


def test_model_finds_the_spot_of_an_unseen_photo(learned, data):
    predictor = Predictor(learned[0] / "model.onnx", threads=1)
    misses = []
    for scene in data.validation:
        density = predictor.density(read_photo(scene.path), size=(scene.width, scene.height))
        row, column = np.unravel_index(density.argmax(), density.shape)
        misses.append(np.hypot(*(np.median(scene.fixations, axis=0) - (column, row))))
    assert np.median(misses) < 15  # of photos some 80 px wide


def test_run_writes_what_its_folder_promises(learned):
    path, _ = learned
    assert len(history_of(path)) == 8
    assert sorted(file.name for file in (path / "pictures").iterdir()) == [
        f"epoch-{epoch:03d}.png" for epoch in (1, 4, 7, 8)
    ]
    for file in ("options.json", "state.pt", "model.safetensors", "model.onnx"):
        assert (path / file).is_file()
    assert not list(path.glob("*.tmp"))


def test_tensorboard_has_curves_and_pictures(learned):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(learned[0])).Reload()
    tags = events.Tags()
    assert set(tags["scalars"]) == {
        "loss/train",
        "images_per_second",
        "validation/information_gain_bits",
        "validation/nss",
        "validation/auc",
    }
    curve = [event.value for event in events.Scalars("validation/nss")]
    expected = [figures["nss"] for figures in history_of(learned[0])]
    assert curve == pytest.approx(expected, rel=1e-5)
    assert tags["images"] == ["validation"]


def test_center_bias_of_the_model_is_that_of_the_training_images(learned, data):
    expected = training.fit_center_bias(data.train, is_symmetric=True).log_grid
    stored = load_model(learned[0] / "model.safetensors").center_bias.numpy()
    np.testing.assert_allclose(stored, expected - expected.mean(), atol=1e-5)


def test_training_stops_after_patience_epochs_without_a_gain(data, tmp_path, monkeypatch):
    gains = iter([1.0, 3.0, 2.0, 2.5, 4.0, 5.0])

    def validate(*_, **__):
        return {"information_gain_bits": next(gains), "nss": 0.0, "auc": 0.5}

    monkeypatch.setattr(training, "validate", validate)
    best = train(data, tmp_path / "run", epochs=6, patience=2, picture_epochs=9)
    assert [figures["information_gain_bits"] for figures in history_of(tmp_path / "run")] == [
        *(1.0, 3.0, 2.0, 2.5)
    ]
    assert best["information_gain_bits"] == 3.0


@pytest.mark.parametrize("clip", [1e-3, 1e6])
def test_gradient_is_clipped_to_its_greatest_norm(data, tmp_path, monkeypatch, clip):
    norms = []
    step = torch.optim.AdamW.step

    def recording_step(optimizer, *arguments):
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"]]
        norms.append(torch.nn.utils.get_total_norm(g for g in gradients if g is not None).item())
        return step(optimizer, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", recording_step)
    train(data, tmp_path / "run", epochs=1, clip=clip)
    assert len(norms) == len(data.train) // OPTIONS.batch_size
    if clip < 1:
        assert norms == pytest.approx([clip] * len(norms), rel=1e-3)
    else:
        assert min(norms) > 1e-2  # so that the other case has something to clip


class Toy(torch.nn.Module):
    """A weight, a buffer, and a counter as batch norm has."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2))
        self.register_buffer("statistics", torch.zeros(2))
        self.register_buffer("count", torch.tensor(0))


def test_moving_average_equals_one_made_by_hand():
    toy, decay = Toy(), 0.4
    average = optimizer.moving_average(toy, decay)
    expected = None
    for step in range(1, 13):
        value = float(step**2 % 7)
        toy.weight.data.fill_(value)
        toy.statistics.fill_(-value)
        toy.count.fill_(step)
        average.update(toy, step=step)
        share = min(decay, 1 - 9 / (8 + step))  # of what was before
        expected = value if expected is None else share * expected + (1 - share) * value
        assert average.module.weight.tolist() == pytest.approx([expected] * 2, rel=1e-5)
        assert average.module.statistics.tolist() == pytest.approx([-expected] * 2, rel=1e-5)
        assert average.module.count.item() == step
    assert decay < 1 - 9 / (8 + 12)  # the average was young, and then not


def test_state_of_another_version_is_refused_on_one_line(data, tmp_path):
    train(data, tmp_path / "run", epochs=1)
    folder = RunFolder(tmp_path / "run")
    state = folder.load_state()
    folder.save_state({name: value for name, value in state.items() if name != "ema"})
    with pytest.raises(CheckpointError, match="no state that this version can continue"):
        training.train(data, dataclasses.replace(OPTIONS, epochs=2), folder)


def test_what_is_kept_is_the_moving_average(data, tmp_path):
    train(data, tmp_path / "run", epochs=1, ema_decay=0.99)
    state = RunFolder(tmp_path / "run").load_state()
    kept = load_model(tmp_path / "run" / "model.safetensors").state_dict()
    name = "readout.score.weight"
    assert torch.equal(kept[name], state["ema"][f"module.{name}"])
    assert not torch.equal(kept[name], state["model"][name])


def test_backbone_and_readout_have_their_own_rates(data, tmp_path):
    train(data, tmp_path / "run", epochs=1, backbone_rate=0.0, weight_decay=0.0)
    state = RunFolder(tmp_path / "run").load_state()["model"]
    torch.manual_seed(OPTIONS.seed)
    start = training.SaliencyModel(
        training.ModelConfig(backbone=OPTIONS.backbone, input_pixels=OPTIONS.input_pixels)
    ).state_dict()
    moved = {name for name in start if not torch.equal(start[name], state[name])}
    assert {name.partition(".")[0] for name in moved} == {
        *("readout", "smoothing", "center_bias_weight", "center_bias")
    }


@pytest.mark.parametrize("count", [1, 4, 5])
def test_run_of_very_few_steps_comes_to_its_end(data, tmp_path, count):
    few = dataclasses.replace(data, train=data.train[: 4 * count])
    figures = train(few, tmp_path / "run", epochs=1, picture_epochs=9)
    assert np.isfinite(figures["information_gain_bits"])


@pytest.mark.parametrize("part", ["train", "validation"])
def test_data_without_images_of_a_part_is_refused(data, tmp_path, part):
    with pytest.raises(DatasetError, match="expected images for training and for validation"):
        train(dataclasses.replace(data, **{part: ()}), tmp_path / "run")


def test_maps_alone_are_refused_as_they_cannot_validate(tmp_path):
    mapped = MappedPhoto("maps/a", Path("a.jpg"), Path("a.png"))
    with pytest.raises(DatasetError, match="add a data set with fixations"):
        train(TrainingData(train=(), validation=(), mapped=(mapped,) * 12), tmp_path / "run")


def test_fewer_images_than_a_batch_takes_are_refused(data, tmp_path):
    with pytest.raises(DatasetError, match=r"at least the 64 images .* take smaller batches"):
        train(data, tmp_path / "run", batch_size=64)


@pytest.mark.parametrize(
    "changes", [{"backbone": "no_such_network"}, {"levels": (1, 9)}, {"levels": (1, 3)}], ids=str
)
def test_network_that_cannot_be_built_is_refused_and_the_folder_stays_free(data, tmp_path, changes):
    with pytest.raises(CheckpointError, match="choose another backbone or other levels"):
        train(data, tmp_path / "run", **changes)
    train(data, tmp_path / "run", epochs=1)


def test_a_model_may_go_on_with_fewer_pixels_than_its_teacher_model(data, learned, tmp_path):
    teacher_model = learned[0] / "model.safetensors"
    path = tmp_path / "run"
    options = dataclasses.replace(OPTIONS, input_pixels=32 * 64, epochs=1)
    folder = RunFolder(path)
    folder.start(options)
    given = dataclasses.replace(data, teachers=(teacher_model,))
    training.train(given, options, folder, start=load_model(teacher_model))
    assert load_model(path / "model.safetensors").config.input_pixels == 32 * 64


def test_a_guide_is_shown_as_many_pixels_as_are_asked_for(data, learned, tmp_path):
    teacher_model = learned[0] / "model.safetensors"
    pixels = 4 * OPTIONS.input_pixels
    options = dataclasses.replace(OPTIONS, teacher_pixels=pixels, epochs=1, variants=1)
    folder = RunFolder(tmp_path / "run")
    folder.start(options)
    given = dataclasses.replace(data, teachers=(teacher_model,))
    training.train(given, options, folder, start=load_model(teacher_model))
    made_of = json.loads((folder.examples / "made-of.json").read_text())
    assert made_of["input_pixels"] == pixels
    assert load_model(folder.model).config.input_pixels == OPTIONS.input_pixels


def test_a_model_goes_on_with_its_own_input_size_unless_told_otherwise(data, learned, tmp_path):
    start = load_model(learned[0] / "model.safetensors")
    start.config = dataclasses.replace(start.config, input_pixels=48 * 64)
    folder = RunFolder(tmp_path / "run")
    options = dataclasses.replace(OPTIONS, input_pixels=None, epochs=1)
    folder.start(options)
    training.train(data, options, folder, start=start)
    assert load_model(folder.model).config.input_pixels == 48 * 64
