import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from compression_fixtures import TUNING, arguments, assert_same, report_of
from latency_fixtures import SizeEngine
from safetensors.torch import load_file
from training_fixtures import GOING_ON

from saliency.commands import train
from saliency.commands.prune import main
from saliency.compression import compress
from saliency.model.checkpoint import load_model, read_metadata, save_model
from saliency.prediction.predictor import Predictor
from saliency.pruning.latency import engines, table_file
from saliency.pruning.latency.measuring import measure_table
from saliency.pruning.latency.table_file import read_table
from saliency.pruning.loop.run import PruningRun
from saliency.pruning.surgery import channel_counts
from saliency.training.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("one_thread")

KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from latency_fixtures import SizeEngine
from saliency.compression import compress
from saliency.pruning.latency import engines
from saliency.training.session import LearningSession
from saliency.commands.prune import main

engines.ENGINES["onnxruntime"] = SizeEngine
steps, step = 0, LearningSession.take_step
def killing_step(*arguments, **keywords):
    global steps
    steps += 1
    if steps == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*arguments, **keywords)
LearningSession.take_step = killing_step
raise SystemExit(main(sys.argv[1:]))
"""
"""A run that kills itself while it prunes, as `kill -9` would."""


@pytest.fixture(scope="module")
def run(model, dataset, table, tmp_path_factory):
    """The folder of a run that was not interrupted."""
    path = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(engines.ENGINES, "onnxruntime", SizeEngine)
        assert main(arguments(model, dataset, table, path)) == 0
    return path


def test_table_of_the_model_holds_its_setting(table):
    conditions = read_table(table).conditions
    assert (conditions.engine, conditions.input_size, conditions.threads) == ("size", (64, 64), 1)


def test_pruned_model_reaches_the_measured_speedup(run):
    report = report_of(run)
    assert report["result"]["speedup"] >= 1.3
    assert report["points"][-1]["speedup"] >= 1.3


def test_pruned_model_is_not_pruned_further_than_asked(run):
    assert report_of(run)["result"]["speedup"] < 1.6


def test_pruned_model_is_smaller_in_channels_and_on_disk(run, model):
    assert sum(out for _, out in channel_counts(load_model(run / "model.safetensors")).values()) < (
        0.9 * sum(out for _, out in channel_counts(load_model(model)).values())
    )
    assert (run / "model.safetensors").stat().st_size < 0.9 * model.stat().st_size
    assert (run / "model.onnx").stat().st_size < 0.9 * (run / "unpruned.onnx").stat().st_size


def test_file_names_the_channels_of_every_layer(run):
    stored = read_metadata(run / "model.safetensors")["channels"]
    counts = channel_counts(load_model(run / "model.safetensors"))
    assert {name: tuple(pair) for name, pair in stored.items()} == counts


def test_pruned_model_gives_bit_equal_outputs_after_saving(run, tmp_path):
    photos = torch.randint(0, 256, (1, 64, 96, 3), dtype=torch.uint8)
    pruned = load_model(run / "model.safetensors")
    save_model(pruned, tmp_path / "again.safetensors")
    with torch.inference_mode():
        assert torch.equal(pruned(photos), load_model(tmp_path / "again.safetensors")(photos))


def test_pruned_model_predicts_in_the_runtime_ring(run):
    photo = torch.randint(0, 256, (60, 90, 3), dtype=torch.uint8).numpy()
    assert Predictor(run / "model.onnx").density(photo).sum() == pytest.approx(1, abs=1e-5)


def test_report_shows_curve_windows_and_widths(run):
    text = (run / "report.md").read_text()
    assert "| unpruned |" in text
    assert "| fine-tuned |" in text
    assert "| 16:9 |" in text
    assert "| backbone.conv_stem |" in text
    assert (run / "report.png").stat().st_size > 10_000
    report = report_of(run)
    assert set(report["windows"]) == {"1:1", "9:16", "16:9"}
    assert -1 <= report["alternation"] <= 1
    assert report["points"][0]["removals"] == 0


@pytest.mark.thorough
def test_pruned_model_can_be_pruned_again(run, dataset, tmp_path, table):
    given = arguments(
        run / "model.safetensors", dataset, table, tmp_path / "again", "--speedup=1.2"
    )
    assert main(given) == 0
    assert report_of(tmp_path / "again")["result"]["speedup"] >= 1.2


def test_pruned_model_can_be_trained_again(run, dataset, tmp_path):
    given = [f"--data=folder:{dataset}", f"--out={tmp_path / 'run'}", *GOING_ON]
    assert train.main([*given, f"--start={run / 'model.safetensors'}"]) == 0
    pruned, trained = (
        channel_counts(load_model(path / "model.safetensors")) for path in (run, tmp_path / "run")
    )
    assert trained == pruned


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.thorough)])
def test_run_killed_while_pruning_ends_as_the_uninterrupted_one(given, run, tmp_path, workers):
    path = tmp_path / "killed"
    script = KILLED.format(tests=str(Path(__file__).parents[1]), step=4)
    killed = subprocess.run(
        [
            *(sys.executable, "-c", script),
            *arguments(*given, path, "--speedup=1.3", f"--workers={workers}"),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert RunFolder(path / "pruning").load_state()["removals"] == 1
    assert main([f"--out={path}", "--resume"]) == 0
    assert_same(path, run)


@pytest.mark.parametrize(
    "function", ["train", pytest.param("write_report", marks=pytest.mark.thorough)]
)
def test_run_stopped_later_ends_as_the_uninterrupted_one(given, run, tmp_path, function):
    path = tmp_path / "stopped"
    with pytest.MonkeyPatch.context() as patch:

        def stop(*_, **__):
            raise KeyboardInterrupt

        patch.setattr(compress, function, stop)
        assert main(arguments(*given, path)) == 130
    assert main([f"--out={path}", "--resume"]) == 0
    assert_same(path, run)


@pytest.mark.parametrize(
    "more",
    [
        ("--speedup=1.2", "--cost=params", "--signal=taylor"),
        *(
            pytest.param(("--speedup=1.2", *others), marks=pytest.mark.thorough)
            for others in (
                ("--cost=flops",),
                ("--cost=none", "--signal=random"),
                ("--signal=magnitude",),
                ("--signal=activation",),
            )
        ),
    ],
    ids=" ".join,
)
def test_every_cost_and_signal_reaches_the_speedup(model, dataset, table, tmp_path, more):
    given = arguments(model, dataset, table, tmp_path / "run", *more, "--epochs=1")
    assert main(given) == 0
    assert report_of(tmp_path / "run")["result"]["speedup"] >= 1.2


def test_target_in_milliseconds_is_reached(model, dataset, table, run, tmp_path):
    unpruned_ms = report_of(run)["points"][0]["measured_ms"]
    given = arguments(model, dataset, table, tmp_path / "run", f"--target={unpruned_ms / 1.3}ms")
    assert main(given) == 0
    assert report_of(tmp_path / "run")["result"]["measured_ms"] <= unpruned_ms / 1.3


def test_smaller_input_counts_towards_the_speedup(model, dataset, table, tmp_path):
    own = load_model(model).config.input_pixels
    given = arguments(model, dataset, table, tmp_path / "run", "--speedup=3", "--epochs=1")
    assert main([*given, f"--input-pixels={own // 2}"]) == 0
    report = report_of(tmp_path / "run")
    unpruned, shrunk, *_ = report["points"]
    assert unpruned["speedup"] == 1
    assert shrunk["removals"] == 0
    assert 1.5 < shrunk["speedup"] < 2.5
    assert report["result"]["speedup"] >= 3
    assert load_model(tmp_path / "run" / "model.safetensors").config.input_pixels == own // 2
    assert load_model(tmp_path / "run" / "unpruned.safetensors").config.input_pixels == own


def test_time_is_that_of_a_photo_at_the_size_of_the_model(model, dataset, tmp_path):
    pixels = 64 * 96
    given = [f"--data=folder:{dataset}", f"--out={tmp_path / 'run'}", f"--input-pixels={pixels}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_file, "measure_table", partial(measure_table, rounds=1))
        assert main([str(model), *given, *TUNING, "--beta=0", "--epochs=1", "--steps=1"]) == 0
    height, width = report_of(tmp_path / "run")["size"]
    assert height < width
    assert read_table(tmp_path / "run" / "latency.json").conditions.input_size == (height, width)
    assert height * width == pytest.approx(pixels, rel=0.16)


def test_beta_of_zero_removes_nothing(model, dataset, table, tmp_path):
    given = arguments(model, dataset, table, tmp_path / "run", "--beta=0", "--epochs=1")
    assert main(given) == 0
    assert report_of(tmp_path / "run")["before"] == report_of(tmp_path / "run")["after"]


@pytest.mark.thorough
def test_beta_weighs_time_against_loss(model, dataset, table, tmp_path):
    given = arguments(
        model, dataset, table, tmp_path / "run", "--beta=3e-5", "--epochs=1", "--time-share=0.3"
    )
    assert main(given) == 0
    assert report_of(tmp_path / "run")["result"]["speedup"] > 1.02


def fails(capsys, given):
    """Return the line of an error that ends a run."""
    assert main(given) == 1
    (line,) = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("saliency prune:")
    ]
    return line


@pytest.mark.parametrize(
    "more", [["--target=0.001ms"], ["--speedup=20", "--method=l0"], ["--speedup=2", "--least=0.9"]]
)
def test_target_below_reach_is_refused(given, tmp_path, capsys, more):
    line = fails(capsys, arguments(*given, tmp_path / "run", *more))
    assert "expected a target of at least" in line
    assert "times faster), a smaller input or a smaller network, or let groups keep less" in line


def test_table_for_another_size_is_refused(model, dataset, table, tmp_path, capsys):
    given = [*arguments(model, dataset, table, tmp_path / "run"), "--size=64x96"]
    assert "input size" in fails(capsys, given)


def test_table_for_another_engine_is_refused(model, dataset, table, tmp_path, capsys):
    given = [*arguments(model, dataset, table, tmp_path / "run"), "--engine=torch"]
    assert "expected a latency table for the engine torch, got one for size" in fails(capsys, given)


def test_missing_table_is_named(model, dataset, tmp_path, capsys):
    given = arguments(model, dataset, tmp_path / "none.json", tmp_path / "run")
    assert "no latency table at" in fails(capsys, given)


def test_checkpoint_of_another_version_is_refused(model, dataset, table, tmp_path, capsys):
    from safetensors.torch import save_file

    metadata = read_metadata(model) | {"format_version": 99}
    other = tmp_path / "other.safetensors"
    save_file(load_file(model), other, {"saliency": json.dumps(metadata)})
    line = fails(capsys, arguments(other, dataset, table, tmp_path / "run"))
    assert "format_version 1" in line


def test_run_is_not_started_over_another(model, dataset, table, run, capsys):
    assert "holds a run already" in fails(capsys, arguments(model, dataset, table, run))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--out=x"], "expected a MODEL.safetensors"),
        (["m.safetensors", "--out=x", "--data=osie:x"], "exactly one of target_ms"),
        (["m", "--out=x", "--data=osie:x", "--speedup=2", "--beta=1"], "exactly one of target_ms"),
        (["m", "--out=x", "--data=osie:x", "--method=l0", "--beta=1"], "finds its own multiplier"),
        (["m", "--out=x", "--data=osie:x", "--speedup=1"], "speedup above 1"),
        (["m", "--out=x", "--data=osie:x", "--speedup=2", "--least=1"], "least from 0 to below 1"),
        (["m", "--out=x", "--data=osie:x", "--speedup=2", "--estimator=relax"], "--method l0"),
        (
            ["m", "--out=x", "--data=osie:x", "--speedup=2", "--signal=fisher", "--method=l0"],
            "expected --signal with --method ranking",
        ),
        (["m", "--out=x", "--data=osie:x", "--target=soon"], "expected a time such as 4ms"),
        (["m", "--out=x", "--data=osie:x", "--size=big"], "expected HEIGHTxWIDTH"),
        (["--out=x", "--resume", "--speedup=2"], "leave out --speedup"),
        (["--out=x", "--resume", "--target=4ms"], "leave out --target"),
        (["measure", "--threads=0"], "threads at least 1"),
        (["m", "--out=x", "--data=osie:x", "--speedup=2", "--devices=2"], "expected one device"),
        (["m", "--out=x", "--data=osie:x", "--speedup=2", "--precision=16-mixed"], "--precision"),
    ],
)
def test_wrong_command_line_is_refused(given, expected, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(given)
    assert exit_.value.code == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("given", [["--help"], ["measure", "--help"]])
def test_help_describes_every_option(given, capsys):
    with pytest.raises(SystemExit):
        main(given)
    lines = capsys.readouterr().out
    assert "--engine" in lines
    assert "(default: " in lines


def test_one_measurement_beside_a_busy_neighbour_does_not_count():
    believed = PruningRun.correction.fget(SimpleNamespace(ratios=[2.0, 1.02, 1.0, 1.4]))
    assert believed == pytest.approx(1.02)


@pytest.mark.parametrize(
    ("measured_after", "corrected_ms", "expected"),
    [(5, 5.95, True), (5, 6.05, False), (4, 5.95, False)],
)
def test_target_is_met_where_the_model_at_present_meets_it_twice(
    measured_after, corrected_ms, expected
):
    run = SimpleNamespace(
        options=SimpleNamespace(beta=None),
        points=[{"removals": measured_after, "measured_ms": 5.9}],
        removals=5,
        passes=0,
        target_ms=6.0,
        predicted_ms=6.3,
    )
    run._note = lambda: setattr(run, "predicted_ms", corrected_ms)
    assert PruningRun._has_arrived(run) is expected
