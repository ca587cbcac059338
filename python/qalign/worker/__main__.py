"""`python -m qalign.worker`: serve Node (--connect), or run a file of requests (--replay).

It also measures a model (--bench) or a GPU (--gpu-check), and counts the work of scoring (--count) or training
(--count-training).
"""

import argparse
import gc
import json
import os
import signal
import sys
from pathlib import Path

from ..training.process_exit import end_process


def main(argv: list[str]) -> int:
    if "--bench" in argv:
        from .bench import main as bench

        return bench([word for word in argv if word != "--bench"])
    if "--count" in argv:
        from .count import main as count

        return count([word for word in argv if word != "--count"])
    if "--count-training" in argv:
        from .count_training import main as count_training

        return count_training([word for word in argv if word != "--count-training"])
    if "--gpu-check" in argv:
        from .check.run import main as check

        return check([word for word in argv if word != "--gpu-check"])
    parser = argparse.ArgumentParser(prog="python -m qalign.worker", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--connect",
        metavar="ENDPOINT",
        help="serve the Node that listens at ENDPOINT and sends a token on stdin; "
        "-: Node also sends the endpoint, the identity and the device",
    )
    what.add_argument(
        "--replay", metavar="FILE", type=Path, help="run the requests of a JSON file and print the answers"
    )
    what.add_argument("--bench", action="store_true", help="measure a model; see --bench --help")
    what.add_argument("--count", action="store_true", help="count FLOPs, bytes and kernels; see --count --help")
    what.add_argument(
        "--count-training", action="store_true", help="count those of training; see --count-training --help"
    )
    what.add_argument(
        "--gpu-check", action="store_true", help="measure a GPU in one run of seven minutes; see --gpu-check --help"
    )
    parser.add_argument("--identity", default="worker")
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--keys",
        type=Path,
        help="key file for a Node on another host (tcp://HOST:PORT): worker.json of `qalign workers keys`",
    )
    options = parser.parse_args(argv)
    if options.replay:
        from .replay import replay

        return replay(options.replay)
    if options.connect.startswith("tcp://"):
        from .remote import serve_remote

        return serve_remote(options.connect, options.device, options.keys)
    # Ctrl-C reaches the whole process group; Node handles it and drains the worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return serve_parent(options.connect, options.identity, options.device)


def serve_parent(endpoint: str, identity: str, device: str) -> int:
    """Serve the Node that started this process. With `-` as the endpoint, imports while Node finds its other inputs."""
    gc.disable()  # the imports create a million objects that stay
    from .torch_import import import_torch

    import_torch()
    from .bridge import Bridge, die_with_parent

    gc.freeze()
    gc.enable()
    if endpoint == "-":
        line = read_line()
        if not line:
            return 0  # Node needs no worker, or has ended
        given = json.loads(line)
        endpoint, identity, device = given["endpoint"], given["identity"], given["device"]
    token = read_line()
    die_with_parent(endpoint)
    return Bridge(endpoint, identity, token, device).run()


def read_line() -> str:
    """The next line of stdin, or what comes before its end. Unbuffered: another thread waits for the end."""
    line = b""
    while (byte := os.read(0, 1)) not in (b"", b"\n"):
        line += byte
    return line.decode().strip()


if __name__ == "__main__":
    # at once, because destroying a CUDA context can hang on a failed device
    end_process(main(sys.argv[1:]))
