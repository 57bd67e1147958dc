import dataclasses
import json

import pytest
from runtime_fixtures import dark_photo, write_model
from training_fixtures import COMMAND_LINE, OPTIONS, random_model, write_spots

from saliency.commands import crop, train
from saliency.datasets.layouts.registry import read_dataset
from saliency.datasets.splits import split_folds
from saliency.errors import DatasetError
from saliency.model.checkpoint import load_model, save_model
from saliency.model.dataset_bias_file import read_numbers
from saliency.prediction.predictor import Predictor
from saliency.training.data import read_training_data
from saliency.training.options import CHOICES, TrainingOptions
from saliency.training.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_spots(tmp_path_factory.mktemp("data") / "spots")


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory):
    """The folder of a run that has ended."""
    path = tmp_path_factory.mktemp("runs") / "first"
    assert run(dataset, path, "--epochs=1") == 0
    return path


def run(dataset, path, *options):
    return train.main(["--data", f"folder:{dataset}", "--out", str(path), *COMMAND_LINE, *options])


def refused(capsys, *arguments):
    """Return the last line of a command line that the parser refuses with status 2."""
    with pytest.raises(SystemExit) as caught:
        train.main(list(arguments))
    assert caught.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def failed(capsys, dataset, path, *options):
    """Return the error of a run that ends with status 1."""
    assert run(dataset, path, *options) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert line.startswith("saliency train: error: ")
    return line


def test_run_leaves_a_model_that_crops_a_photo(finished, tmp_path):
    dark_photo(160, 120, bright=(100, 20, 140, 60)).save(tmp_path / "photo.png")
    model = str(finished / "model.onnx")
    assert crop.main([str(tmp_path / "photo.png"), "--model", model, "--aspect", "1:1"]) == 0
    assert (tmp_path / "photo-1x1.png").is_file()


def test_run_says_how_well_it_did_and_what_it_wrote(dataset, tmp_path, capsys):
    assert run(dataset, tmp_path / "run", "--epochs=1") == 0
    best, written = capsys.readouterr().out.splitlines()
    (figures,) = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    gain = json.loads(figures)["information_gain_bits"]
    assert best.startswith(f"best epoch: information_gain_bits {gain:.4f}, nss ")
    assert written == f"written: {tmp_path / 'run' / 'model.safetensors'}, " + str(
        tmp_path / "run" / "model.onnx"
    )


def test_readout_is_as_wide_as_asked(dataset, tmp_path):
    assert run(dataset, tmp_path / "run", "--epochs=1", "--readout-channels=24") == 0
    model = load_model(tmp_path / "run" / "model.safetensors")
    assert (model.config.readout_channels, model.readout.score.in_channels) == (24, 12)


def test_options_of_the_run_are_kept(finished, dataset):
    options = json.loads((finished / "options.json").read_text())
    assert options["data"] == [f"folder:{dataset}"]
    expected = dataclasses.asdict(dataclasses.replace(OPTIONS, epochs=1))
    assert options["training"] == {**expected, "levels": list(expected["levels"])}


def test_kept_variants_serve_another_run(dataset, finished, tmp_path, capsys):
    shared = ("--variants=1", f"--teacher={finished / 'model.safetensors'}", "--epochs=2")
    shared = (*shared, f"--examples={tmp_path / 'examples'}")
    assert run(dataset, tmp_path / "one", *shared) == 0
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "examples").iterdir()}
    assert sum(name.endswith(".safetensors") for name in kept) > 1
    assert run(dataset, tmp_path / "two", *shared) == 0
    again = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "examples").iterdir()}
    assert again == kept
    histories = [(tmp_path / name / "history.jsonl").read_text() for name in ("one", "two")]
    assert histories[0] == histories[1]
    line = failed(capsys, dataset, tmp_path / "three", *shared, "--blur=0.1")
    assert "keeps batches of other data" in line


def test_a_run_goes_on_with_all_the_options_it_began_with(tmp_path):
    options = train.TrainRunOptions(
        data=("osie:a", "3*folder:b"),
        photos="photos",
        teacher=("c.onnx", "d.onnx"),
        training=dataclasses.replace(OPTIONS, levels=(2, 3), set_bias="own", variants=2),
        start="e.safetensors",
        fold=(10, 3),
        examples="kept",
    )
    folder = RunFolder(tmp_path / "run")
    folder.start(options)
    assert train._options_of_run(folder) == options


def test_two_data_sets_are_learned_together(dataset, tmp_path, caplog):
    other = write_spots(tmp_path / "others", count=12, seed=1)
    assert run(dataset, tmp_path / "run", "--epochs=1", "--data", f"folder:{other}") == 0
    assert "spots: 24 images" in caplog.text
    assert "others: 12 images" in caplog.text


def test_images_of_the_fold_are_neither_learned_from_nor_chosen_by(dataset):
    data = read_training_data([f"folder:{dataset}"], photos=None, teachers=(), fold=(4, 2))
    scenes = read_dataset(f"folder:{dataset}").scenes
    learned, tested = split_folds(scenes, folds=4, fold=2)
    used = {scene.name for scene in (*data.train, *data.validation)}
    assert used == {scene.name for scene in learned}
    assert tested
    assert used.isdisjoint(scene.name for scene in tested)


def test_images_of_a_weighted_data_set_are_shown_more_often(dataset, tmp_path):
    other = write_spots(tmp_path / "others", count=12, seed=1)
    once = read_training_data([f"folder:{other}"], photos=None, teachers=())
    specs = [f"folder:{dataset}", f"3*folder:{other}"]
    data = read_training_data(specs, photos=None, teachers=())
    shown = [scene.name for scene in data.train]
    assert all(shown.count(scene.name) == 3 for scene in once.train)
    assert sum(name.startswith("spots/") for name in shown) == len(set(shown)) - len(once.train)
    assert len({scene.name for scene in data.validation}) == len(data.validation)


def test_bias_of_each_set_is_learned_saved_and_not_exported(dataset, tmp_path):
    other = write_spots(tmp_path / "others", count=12, seed=1)
    given = ("--epochs=1", f"--data=folder:{other}")  # several sets: each has its own
    assert run(dataset, tmp_path / "run", *given) == 0
    state = RunFolder(tmp_path / "run").load_state()
    assert state["set_bias"]["bias"].shape[0] == 2
    assert state["set_bias"]["bias"].abs().max() > 0
    kept = load_model(tmp_path / "run" / "model.safetensors").state_dict()
    assert not any("set_bias" in name for name in kept)
    assert set(read_numbers(tmp_path / "run" / "set-bias.json")) == {"spots", "others"}
    assert train.main(["--out", str(tmp_path / "run"), "--resume"]) == 0


def test_bias_of_each_set_is_learned_beside_a_teacher_model(dataset, finished, tmp_path):
    other = write_spots(tmp_path / "others", count=12, seed=1)
    teacher_model = f"--teacher={finished / 'model.safetensors'}"
    given = ("--epochs=1", "--set-bias=own", f"--data=folder:{other}", teacher_model)
    assert run(dataset, tmp_path / "run", *given) == 0
    first, second = read_numbers(tmp_path / "run" / "set-bias.json").values()
    assert first.bias[0] == pytest.approx(-second.bias[0], rel=1e-4)
    assert first.bias[0] != 0


@pytest.mark.parametrize("weight", ["0", "1.5", "many", ""])
def test_weight_that_is_no_count_is_refused(dataset, weight):
    with pytest.raises(DatasetError, match=r"whole number above 0 before \*"):
        read_training_data([f"{weight}*folder:{dataset}"], photos=None, teachers=())


@pytest.mark.parametrize(
    "given", [["--folds=4"], ["--fold=2"], ["--folds=1", "--fold=1"], ["--folds=4", "--fold=5"]]
)
def test_fold_that_is_not_there_is_refused(dataset, tmp_path, capsys, given):
    arguments = ["--data", f"folder:{dataset}", "--out", str(tmp_path / "run"), *given]
    assert "expected --folds" in refused(capsys, *arguments)


def test_teacher_is_learned_on_photos_without_fixations(dataset, tmp_path, caplog):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(4):
        dark_photo(90, 60, bright=(0, 0, 20, 20)).save(photos / f"{number}.png")
    teacher = ["--teacher", str(write_model(tmp_path / "teacher.onnx"))]
    assert run(dataset, tmp_path / "run", "--epochs=1", *teacher, "--photos", str(photos)) == 0
    assert "4 photos without fixations" in caplog.text
    assert train.main(["--out", str(tmp_path / "run"), "--resume"]) == 0


def test_teacher_that_is_shown_each_variant_is_learned_on_photos(dataset, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(4):
        dark_photo(90, 60, bright=(0, 0, 9 + number, 9)).save(photos / f"{number}.png")
    save_model(random_model(), tmp_path / "teacher_model.safetensors")
    given = ("--teacher", str(tmp_path / "teacher_model.safetensors"), "--photos", str(photos))
    assert run(dataset, tmp_path / "run", "--epochs=1", *given) == 0
    assert not (tmp_path / "run" / "teacher.npz").exists()
    assert (tmp_path / "run" / "model.onnx").exists()


def test_teacher_that_is_shown_each_variant_teaches_alone(tmp_path, capsys):
    given = ("--data", "folder:x", "--teacher=a.onnx", "--teacher=b.safetensors")
    assert "teaches alone" in refused(capsys, "--out", str(tmp_path / "run"), *given)


def test_photos_without_a_teacher_are_refused(dataset, tmp_path, capsys):
    given = ("--data", f"folder:{dataset}", "--out", str(tmp_path / "run"), "--photos", "photos")
    assert "add --teacher MODEL" in refused(capsys, *given)
    assert not (tmp_path / "run").exists()


def test_run_without_data_is_refused(tmp_path, capsys):
    message = refused(capsys, "--out", str(tmp_path / "run"))
    assert "expected at least one --data LAYOUT:PATH" in message


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["--epochs", "3"], "--epochs"),
        (["--data", "osie:there", "--batch-size", "2"], "--batch-size, --data"),
        (["--teacher", "model.onnx"], "--teacher"),
    ],
)
def test_resume_takes_no_other_options(finished, capsys, given, named):
    message = refused(capsys, "--out", str(finished), "--resume", *given)
    assert message.endswith(f"--resume takes the run's own options: leave out {named}")


def test_folder_that_holds_a_run_is_not_written_over(finished, dataset, capsys):
    before = {path: path.read_bytes() for path in finished.iterdir() if path.is_file()}
    message = failed(capsys, dataset, finished)
    assert "holds a run already; resume it, or name another folder" in message
    assert {path: path.read_bytes() for path in finished.iterdir() if path.is_file()} == before


def test_resume_of_no_run_is_status_1(tmp_path, capsys):
    assert train.main(["--out", str(tmp_path), "--resume"]) == 1
    assert "holds no run to resume; start one" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        lambda options: options.pop("data"),
        lambda options: options["training"].update(unknown=1),
        lambda options: options["training"].update(epochs=0),
        lambda options: options.update(training=None),
    ],
    ids=["missing", "unknown", "range", "null"],
)
def test_resume_of_a_run_of_another_version_is_status_1(finished, tmp_path, capsys, change):
    options = json.loads((finished / "options.json").read_text())
    change(options)
    (tmp_path / "options.json").write_text(json.dumps(options))
    assert train.main(["--out", str(tmp_path), "--resume"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "holds no run that this version can continue" in line


@pytest.mark.parametrize("spec", ["folder:nowhere", "nowhere", "mit:there"])
def test_data_that_cannot_be_read_is_one_line_and_status_1(spec, tmp_path, capsys):
    assert train.main(["--data", spec, "--out", str(tmp_path / "run")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("saliency train: error: ")
    assert not (tmp_path / "run").exists()


def test_data_set_given_twice_is_refused(dataset, tmp_path, capsys):
    message = failed(capsys, dataset, tmp_path / "run", "--data", f"folder:{dataset}")
    assert "expected each image once, got spots/00.png from 2 data sets" in message


def test_two_data_sets_of_one_name_are_refused(dataset, tmp_path, capsys):
    other = write_spots(tmp_path / "elsewhere" / "spots", count=3, seed=1)
    message = failed(capsys, dataset, tmp_path / "run", "--data", f"folder:{other}")
    assert message.endswith("rename the folder of one of two that are called alike")
    assert not (tmp_path / "run").exists()


def test_folder_without_photos_is_refused(dataset, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    given = ("--photos", str(tmp_path / "empty"), "--teacher", "model.onnx")
    assert "expected photos, found none" in failed(capsys, dataset, tmp_path / "run", *given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("--epochs=0", "expected epochs at least 1, got 0"),
        ("--batch-size=0", "expected batch_size at least 1, got 0"),
        ("--input-pixels=-5", "expected input_pixels at least 1, got -5"),
        ("--readout-channels=0", "expected readout_channels at least 1, got 0"),
        ("--ema-decay=2", "expected ema_decay from 0 to below 1, got 2.0"),
        ("--ema-decay=1", "expected ema_decay from 0 to below 1, got 1.0"),
        ("--strength=5", "expected strength from 0 to 2, got 5.0"),
        ("--teacher-weight=1.1", "expected teacher_weight from 0 to 1, got 1.1"),
        ("--clip=0", "expected clip above 0, got 0.0"),
        ("--blur=-1", "expected blur at least 0, got -1.0"),
        ("--readout-rate=nan", "expected readout_rate above 0, got nan"),
        ("--backbone-rate=inf", "expected backbone_rate at least 0, got inf"),
        ("--seed=-1", "expected seed at least 0, got -1"),
        ("--save-steps=0", "expected save_steps at least 1, got 0"),
        ("--epochs=many", "argument --epochs: invalid int value: 'many'"),
        ("--readout=both", "argument --readout: invalid choice: 'both'"),
    ],
)
def test_value_out_of_its_range_is_refused(dataset, tmp_path, capsys, given, expected):
    arguments = ("--data", f"folder:{dataset}", "--out", str(tmp_path / "run"), given)
    assert expected in refused(capsys, *arguments)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("--start=fast", "--readout-channels=32"), "leave out --readout-channels"),
        (("--start=fast", "--weights=none", "--levels", "1", "2"), "leave out --levels, --weights"),
        (("--readout=pointwise", "--readout-channels=32"), "has a fixed width"),
    ],
)
def test_option_without_effect_is_refused(dataset, tmp_path, capsys, given, expected):
    arguments = ("--data", f"folder:{dataset}", "--out", str(tmp_path / "run"), *given)
    assert expected in refused(capsys, *arguments)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("levels", [["3", "1"], ["2", "2"], ["-1"]])
def test_levels_that_do_not_rise_are_refused(dataset, tmp_path, capsys, levels):
    given = ("--data", f"folder:{dataset}", "--out", str(tmp_path / "run"), "--levels", *levels)
    assert "levels" in refused(capsys, *given)


@pytest.mark.parametrize("field", CHOICES)
def test_word_that_is_no_choice_is_refused_in_python_too(field):
    with pytest.raises(ValueError, match=rf"expected {field} of \(.*\), got 'other'"):
        TrainingOptions(**{field: "other"})


def test_network_that_does_not_exist_is_one_line_and_status_1(dataset, tmp_path, capsys):
    message = failed(capsys, dataset, tmp_path / "run", "--backbone=efficientnet_lite99")
    assert "expected the name of a timm network, got 'efficientnet_lite99'" in message


def test_every_field_of_the_options_is_an_option_with_its_default():
    parser = train.build_parser()
    helps = {action.dest: action.help for action in parser._actions}
    for field in dataclasses.fields(TrainingOptions):
        default = field.default
        if default is None:
            assert helps[field.name]
            continue
        shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
        assert helps[field.name].endswith(f"(default: {shown})")


def test_help_describes_every_option(capsys):
    with pytest.raises(SystemExit, match="0"):
        train.main(["--help"])
    text = capsys.readouterr().out
    actions = train.build_parser()._actions
    assert all(action.help for action in actions)
    assert all(action.option_strings[-1] in text for action in actions)


def test_trained_model_tells_its_name_and_scores(finished):
    metadata = Predictor(finished / "model.onnx").metadata
    assert (metadata["name"], metadata["backbone"]) == ("model", "test_efficientnet")
    assert set(metadata["scores"]) == {"information_gain_bits", "nss", "auc"}
