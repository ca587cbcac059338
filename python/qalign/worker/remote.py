"""A worker for a Node on another host: `--connect tcp://HOST:PORT --keys worker.json`."""

import json
import os
import re
import secrets
import socket
import sys
from pathlib import Path

LOOPBACK = re.compile(r"tcp://(127(\.\d{1,3}){3}|\[::1\]|localhost):")
KEY_NAMES = {"public_key", "secret_key", "server_key"}


def serve_remote(endpoint: str, device: str, keys_file: Path | None) -> int:
    """Serve any Node that listens at `endpoint` until Ctrl-C or SIGTERM. → 2 for invalid keys."""
    try:
        keys = None if keys_file is None else read_keys(keys_file)
        if keys is None and not LOOPBACK.match(endpoint):
            raise ValueError(f"{endpoint} is on another host; name the key file of this worker with --keys FILE")
    except (OSError, ValueError) as error:
        print(f"qalign.worker: {error}", file=sys.stderr)
        return 2
    from .bridge import Bridge

    identity = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        return Bridge(endpoint, identity, "remote", device, keys).run()
    except KeyboardInterrupt:
        os._exit(130)  # another thread owns the sockets, and nothing needs a clean shutdown


def read_keys(path: Path) -> dict[str, str]:
    """The key pair of this worker and the public key of the Node. Raises ValueError for any other content."""
    keys = json.loads(path.read_text())
    if not isinstance(keys, dict) or set(keys) != KEY_NAMES or not all(len(str(key)) == 40 for key in keys.values()):
        raise ValueError(f"{path} is not a key file; it must hold {', '.join(sorted(KEY_NAMES))}, 40 characters each")
    return keys
