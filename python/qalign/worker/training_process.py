"""`torchrun … -m qalign.worker.training_process RUN_DIR`: rank 0 reports to Node over the bridge.

Node passes the endpoint and the token in the environment, because torchrun does not forward stdin. Without them, as in
a run started by hand, rank 0 trains like the others and `events.jsonl` is the only report.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..training.distributed import is_alive
from ..training.process_exit import end_process
from ..training.run import train_run
from .handlers import Buffer, Report


class TrainHandlers:
    """The method `train`. Events are sent as progress. The result follows when every process has left."""

    def __init__(self, step: Callable[[], None]) -> None:
        self._step = step
        self.failed = False

    def train(self, params: dict[str, Any], buffers: Sequence[Buffer], report: Report) -> dict[str, Any]:
        def tell(event: dict[str, Any]) -> None:
            self._step()
            report(event)

        try:
            return train_run(Path(params["run"]), tell)
        except BaseException:
            self.failed = True
            raise


def serve(endpoint: str) -> int:
    from .bridge import Bridge

    device = os.environ.get("LOCAL_RANK", "0")
    token = os.environ.pop("QALIGN_BRIDGE_TOKEN")
    bridge = Bridge(endpoint, os.environ["QALIGN_BRIDGE_IDENTITY"], token, f"rank 0 on {device}", None, TrainHandlers)

    def watch(parent: int) -> None:
        while is_alive(parent):
            time.sleep(1)
        bridge.drain()  # the run also watches the parent and stops after its step

    threading.Thread(target=watch, args=(int(os.environ["QALIGN_PARENT_PID"]),), daemon=True).start()
    code = bridge.run()
    return code or int(bridge.handlers.failed)


def main(folder: Path) -> int:
    endpoint = os.environ.get("QALIGN_BRIDGE")
    if endpoint and os.environ.get("RANK", "0") == "0":
        return serve(endpoint)
    from ..training.__main__ import main as train

    return train(folder)


if __name__ == "__main__":
    end_process(main(Path(sys.argv[1])))
