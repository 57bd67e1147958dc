"""The folder of a training run: its options, its state, its history, its best model.

options.json          what was asked for; `--resume` continues with it
teacher.npz           the teachers' density of each photo, if there are teachers
examples/             batches that are shown again, with --variants; may be removed at the end
state.pt              everything needed to continue, replaced whole every few steps
history.jsonl         one line for each epoch
model.safetensors     the weights that did best on the validation images
model.onnx            the same, for `saliency crop` (written when the run ends)
set-bias.json         with --set-bias own, the numbers of each data set beside those weights
pictures/             predictions beside ground truth
events.out.tfevents…  curves for TensorBoard
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from saliency.errors import CheckpointError
from saliency.files import create_folder, write_whole
from saliency.pruning.loop.state_file import load_state, save_state


class RunFolder:
    """The files of one run."""

    def __init__(self, path: Path) -> None:
        """Name the folder; nothing is written yet."""
        self.path = path
        self.model = path / "model.safetensors"
        self.onnx = path / "model.onnx"
        self.set_bias = path / "set-bias.json"
        self.teacher = path / "teacher.npz"
        self.examples = path / "examples"
        self.pictures = path / "pictures"
        self._options = path / "options.json"
        self._state = path / "state.pt"
        self._history = path / "history.jsonl"

    def start(self, options: Any) -> None:
        """Create the folder and note the options, a dataclass.

        A run that ended before its first state, perhaps because weights were missing, is replaced.
        (So all processes of a run on several devices may start it in the same way.)

        Raises:
            CheckpointError: the folder holds a run already.
            OutputError: it cannot be written.
        """
        if self._state.exists():
            raise CheckpointError(
                f"{self.path} holds a run already; resume it, or name another folder"
            )
        create_folder(self.pictures)
        self.teacher.unlink(missing_ok=True)
        text = json.dumps(dataclasses.asdict(options), indent=2) + "\n"
        write_whole(text.encode(), self._options, overwrite=True)

    def read_options(self) -> dict[str, Any]:
        """Return the options of the run in this folder.

        Raises:
            CheckpointError: it holds no run, or the file is damaged.
        """
        try:
            options: dict[str, Any] = json.loads(self._options.read_text())
        except FileNotFoundError as error:
            raise CheckpointError(f"{self.path} holds no run to resume; start one") from error
        except (OSError, ValueError) as error:
            raise CheckpointError(f"cannot read {self._options}: {error}") from error
        return options

    def save_state(self, state: dict[str, Any]) -> None:
        """Replace the state, whole or not at all."""
        save_state(state, self._state)

    def load_state(self) -> dict[str, Any] | None:
        """Return the last state, on the CPU; None if the run was stopped before its first.

        Raises:
            CheckpointError: the file is damaged.
        """
        return load_state(self._state)

    def write_history(self, history: list[dict[str, float]]) -> None:
        """Replace the history, whole or not at all."""
        lines = "".join(json.dumps(entry) + "\n" for entry in history)
        write_whole(lines.encode(), self._history, overwrite=True)
