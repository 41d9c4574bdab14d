"""A worker process: it takes units, one line of JSON each, and answers what came of their runs.

`python -m vaekit.studies.worker` is started by `vaekit.studies.local`; it is no command for people. A line
"stop", or the end of its input, which comes with the end of whoever started it, lets it leave its run with a
checkpoint.
"""

from __future__ import annotations

import _thread
import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

from vaekit.errors import UserError

READY, BROKEN = "ready", "broken"

_GRACE = 3.0  # seconds that a step may take until it hears that it is to stop


class _Orders:
    """What comes in: units in a queue, and whether to stop."""

    def __init__(self, stream: TextIO) -> None:
        self.units: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.stopped, self.heard = threading.Event(), threading.Event()
        threading.Thread(target=self._listen, args=(stream,), daemon=True).start()

    def _listen(self, stream: TextIO) -> None:
        for line in stream:
            if line.strip() == "stop":
                break
            self.units.put(json.loads(line))
        self.stopped.set()
        self.units.put(None)
        if not self.heard.wait(_GRACE):
            _thread.interrupt_main()  # no training that could end after its step, but a score

    def stop(self) -> bool:
        """Asked after every training step."""
        if self.stopped.is_set():
            self.heard.set()
        return self.stopped.is_set()


def main(threads: int) -> int:
    """Carry out units until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell may have told its children to ignore it
    orders = _Orders(sys.stdin)

    def answer(**words: Any) -> None:
        answers.write(json.dumps(words) + "\n")

    try:
        import torch

        from vaekit.studies.stack import carry_out
        from vaekit.studies.store import Store
        from vaekit.studies.unit import Event, Unit

        def tell(event: Event) -> None:
            answer(status=event.what, hashes=[call.hash for call in event.calls], why=event.why)

        torch.set_num_threads(threads)
        answer(status=READY)
        stores: dict[str, Store] = {}
        while (order := orders.units.get()) is not None:
            store = stores.setdefault(order["store"], Store(Path(order["store"])))
            carry_out(store, Unit.from_json(order["unit"]), order["keep"], order["device"], tell, orders.stop)
    except KeyboardInterrupt:
        return 130
    except UserError as error:
        answer(status=BROKEN, why=str(error))
        return 2
    except BrokenPipeError:  # nobody hears it any more; the record stands
        return 141
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
