import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from training_fixtures import random_model

from saliency.errors import CheckpointError
from saliency.model.checkpoint import load_model, model_metadata, read_metadata, save_model
from saliency.pruning.groups import find_groups
from saliency.pruning.surgery import channel_counts, remove_channels


@pytest.fixture(scope="module")
def model():
    return random_model()


@pytest.fixture
def saved(model, tmp_path):
    save_model(model, tmp_path / "model.safetensors", scores={"nss": 3.0})
    return tmp_path / "model.safetensors"


def test_saved_model_gives_the_very_same_outputs(model, saved):
    generator = torch.Generator().manual_seed(0)
    photos = torch.randint(0, 256, (2, 45, 70, 3), generator=generator, dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.equal(load_model(saved)(photos), model(photos))


def thinned(model):
    """Return a model without a random third of the channels of every group."""
    groups = find_groups(model, torch.zeros(1, 64, 96, 3, dtype=torch.uint8))
    random = np.random.default_rng(0)
    removals = {
        group.name: random.permutation(group.size)[: group.size // 3].tolist()
        for group in groups.prunable
    }
    return remove_channels(model, groups, removals)


def test_pruned_model_gives_the_very_same_outputs_after_loading(model, tmp_path):
    pruned, path = thinned(model), tmp_path / "pruned.safetensors"
    save_model(pruned, path)
    photos = torch.randint(0, 256, (1, 45, 70, 3), dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.equal(load_model(path)(photos), pruned(photos))
    assert channel_counts(load_model(path)) == channel_counts(pruned) != channel_counts(model)


def test_file_from_before_there_was_pruning_holds_a_whole_model(model, saved):
    metadata = read_metadata(saved)
    del metadata["channels"]
    save_file(load_file(saved), saved, {"saliency": json.dumps(metadata)})
    assert channel_counts(load_model(saved)) == channel_counts(model)


@pytest.mark.parametrize(
    "change",
    [
        lambda channels: channels.update({"backbone.conv_stem": [3, 5]}),
        lambda channels: channels.update({"backbone.conv_stem": [3, 500]}),
        lambda channels: channels.update({"backbone.conv_stem": "all"}),
        lambda channels: channels.pop("backbone.conv_stem"),
        lambda channels: channels.update({"another": [1, 1]}),
    ],
)
def test_file_whose_channels_are_not_those_of_its_weights_is_refused(change, saved):
    metadata = read_metadata(saved)
    change(metadata["channels"])
    save_file(load_file(saved), saved, {"saliency": json.dumps(metadata)})
    with pytest.raises(CheckpointError, match="does not hold the model that it describes"):
        load_model(saved)


def test_loaded_model_is_in_evaluation_mode(saved):
    assert not any(module.training for module in load_model(saved).modules())


def test_metadata_says_what_the_model_is(model, saved):
    metadata = read_metadata(saved)
    expected = {
        **model_metadata(model, name="model", scores={"nss": 3.0}),
        "origins": {},
    }
    assert metadata == json.loads(json.dumps(expected))
    assert (metadata["format_version"], metadata["backbone"]) == (1, "test_efficientnet")
    assert (metadata["input_pixels"], metadata["size_multiple"]) == (64 * 64, 32)
    assert (metadata["name"], metadata["scores"]) == ("model", {"nss": 3.0})


def test_model_is_replaced_whole(model, saved):
    before = saved.stat().st_ino
    save_model(model, saved, scores={"nss": 4.0})
    assert read_metadata(saved)["scores"] == {"nss": 4.0}
    assert saved.stat().st_ino != before  # another file took its place
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def rewrite(path, *, tensors=None, metadata=None):
    """Write a model's file anew, with a change to its tensors or its metadata."""
    stored, described = load_file(path), read_metadata(path)
    (tensors or (lambda _: None))(stored)
    (metadata or (lambda _: None))(described)
    save_file(stored, path, {"saliency": json.dumps(described)})


def test_file_from_before_there_was_an_adjustment_has_none(saved):
    rewrite(saved, tensors=drop_adjustment)
    numbers = {name: float(value) for name, value in load_model(saved).adjustment.named_buffers()}
    assert numbers == {"sharpness": 1, "sharpness_per_nat": 0, "bias": 0, "bias_per_nat": 0}


def drop_adjustment(stored):
    for name in [name for name in stored if name.startswith("adjustment.")]:
        del stored[name]


def rename(stored):
    stored["center_bias_weigth"] = stored.pop("center_bias_weight")


@pytest.mark.parametrize(
    "change",
    [
        rename,
        lambda stored: stored.pop("readout.score.bias"),
        lambda stored: stored.update(extra=torch.zeros(1)),
        lambda stored: stored.update({"readout.score.bias": torch.zeros(2)}),
    ],
    ids=["renamed", "missing", "extra", "shape"],
)
def test_file_with_other_tensors_is_refused(change, saved):
    rewrite(saved, tensors=change)
    with pytest.raises(CheckpointError, match="does not hold the model that it describes"):
        load_model(saved)


@pytest.mark.parametrize(
    "change",
    [
        lambda described: described.pop("config"),
        lambda described: described.update(config=None),
        lambda described: described["config"].update(unknown=1),
        lambda described: described["config"].update(levels=[1, 9]),
        lambda described: described["config"].update(readout="transformer"),
        lambda described: described["config"].update(backbone="hf-hub:someone/something"),
    ],
    ids=["none", "null", "field", "levels", "readout", "hub"],
)
def test_file_that_describes_no_model_is_refused(change, saved):
    rewrite(saved, metadata=change)
    with pytest.raises(CheckpointError, match="does not hold the model that it describes"):
        load_model(saved)


def test_file_of_another_format_is_refused(saved):
    rewrite(saved, metadata=lambda described: described.update(format_version=2))
    with pytest.raises(CheckpointError, match=r"expected format_version 1 in .* got 2; use"):
        load_model(saved)


@pytest.mark.parametrize(
    "metadata",
    [None, {"other": "1"}, {"saliency": "{"}, {"saliency": "[]"}, {"saliency": "1"}],
    ids=["none", "other", "broken", "list", "number"],
)
def test_safetensors_file_of_something_else_is_refused(metadata, tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors", metadata)
    with pytest.raises(CheckpointError, match="carries no saliency metadata; use a file written"):
        load_model(tmp_path / "other.safetensors")


@pytest.mark.parametrize("content", [b"", b"no model", b"\x80\x02}q\x00."], ids=range(3))
def test_file_of_another_kind_is_refused(content, tmp_path):
    (tmp_path / "other.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="is no safetensors file"):
        load_model(tmp_path / "other.safetensors")


def test_file_that_was_cut_short_is_refused(saved):
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="is no safetensors file"):
        load_model(saved)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"no model at .*none\.safetensors; check the path"):
        load_model(tmp_path / "none.safetensors")


def test_folder_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        load_model(tmp_path)
