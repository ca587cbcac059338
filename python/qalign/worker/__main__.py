"""`python -m qalign.worker`: --connect (as Node starts it), --replay (a file of requests), --bench (the model)."""

import argparse
import os
import signal
import sys
from pathlib import Path

from ..training.process_exit import end_process


def main(argv: list[str]) -> int:
    if "--bench" in argv:
        from .bench import main as bench

        return bench([word for word in argv if word != "--bench"])
    parser = argparse.ArgumentParser(prog="python -m qalign.worker", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--connect", metavar="ENDPOINT", help="serve the Node that listens there; it sends a token on stdin"
    )
    what.add_argument(
        "--replay", metavar="FILE", type=Path, help="run the request(s) of a JSON file and print the answers"
    )
    what.add_argument("--bench", action="store_true", help="measure the model; see --bench --help")
    parser.add_argument("--identity", default="worker")
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--keys", type=Path, help="for a Node elsewhere (tcp://HOST:PORT): worker.json of `qalign workers keys`"
    )
    options = parser.parse_args(argv)
    if options.replay:
        from .replay import replay

        return replay(options.replay)
    if options.connect.startswith("tcp://"):
        from .remote import serve_remote

        return serve_remote(options.connect, options.device, options.keys)
    # Ctrl-C reaches the whole process group; Node decides what it means and tells us
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    token = os.read(0, 256).decode().strip()
    from .bridge import Bridge, die_with_parent

    die_with_parent(options.connect)
    return Bridge(options.connect, options.identity, token, options.device).run()


if __name__ == "__main__":
    # at once: taking CUDA apart on a device that failed may take for ever
    end_process(main(sys.argv[1:]))
