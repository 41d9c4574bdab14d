"""TensorBoard: event files in RUN/tensorboard, written by its own writer; TensorFlow is not needed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from vaekit.loggers.logger import Logger

if TYPE_CHECKING:
    from vaekit.runs import Run

FOLDER = "tensorboard"
_ENDS = {"finished": api_pb2.STATUS_SUCCESS, "failed": api_pb2.STATUS_FAILURE}


class TensorBoard(Logger):
    """Scalars over epochs, and the call as hyper-parameters: `tensorboard --logdir RUN/tensorboard`."""

    name = "tensorboard"

    def __init__(self) -> None:
        self._writer: EventFileWriter | None = None
        self._call: dict[str, Any] = {}
        self._trial = ""

    def started(self, run: Run) -> dict[str, Any]:
        """Open a new event file; files of earlier trainings of the run stay beside it."""
        self._writer = EventFileWriter(str(run.path / FOLDER))
        self._call, self._trial = {}, run.path.name
        return {"folder": FOLDER}

    def called(self, call: dict[str, Any]) -> None:
        """The hyper-parameters, with those that were told before: TensorBoard reads the last ones."""
        self._call |= {name: _plain(value) for name, value in call.items()}
        self._write(summary_v2.hparams_pb(self._call, trial_id=self._trial))

    def row(self, values: dict[str, float], epoch: int, stage: str) -> None:
        """One point of every curve."""
        self._scalars(values, epoch)

    def evaluated(self, values: dict[str, float]) -> None:
        """One point each."""
        self._scalars(values, 0)

    def finished(self, status: str) -> None:
        """Close the file."""
        if self._writer is not None:
            self._write(_end(status))
            self._writer.close()
            self._writer = None

    def _scalars(self, values: dict[str, float], step: int) -> None:
        told = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._write(Summary(value=told), step)

    def _write(self, told: Any, step: int = 0) -> None:
        if self._writer is None:
            raise RuntimeError("it was told something before `started`")
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=told))
        self._writer.flush()  # what is in the record as heard is on the disk


def _end(status: str) -> Summary:
    """How the session ended, as the page of hyper-parameters reads it."""
    told = plugin_data_pb2.HParamsPluginData(
        session_end_info=plugin_data_pb2.SessionEndInfo(
            status=_ENDS.get(status, api_pb2.STATUS_UNKNOWN), end_time_secs=time.time()
        )
    )
    about = metadata.create_summary_metadata(told)
    value = Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=about, tensor=metadata.NULL_TENSOR)
    return Summary(value=[value])


def _plain(value: Any) -> bool | int | float | str:
    return value if isinstance(value, bool | int | float | str) else str(value)
