"""`torchrun … -m qalign.training RUN_DIR`: trains without a bridge and reports in `events.jsonl`."""

import sys
from pathlib import Path

from .process_exit import end_process
from .run import train_run


def main(folder: Path) -> int:
    try:
        train_run(folder)
    except Exception:  # already reported in the log and in the events
        return 1
    return 0


if __name__ == "__main__":
    end_process(main(Path(sys.argv[1])))
