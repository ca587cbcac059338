"""The worker's end of the socket. An I/O thread owns the socket, and the main thread computes."""

import json
import logging
import os
import queue
import resource
import shutil
import socket as hostnames
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq

from .. import __version__
from ..protocol import METHODS, PROTOCOL_VERSION
from ..schemas import envelope_name, problem_with
from ..weights.errors import Cancelled
from .dispatch import Begun, begin
from .errors import DEVICE_FAILED
from .handlers import Handlers
from .logs import capture

# The device computes one request while the next is received and enqueued. A third is not needed: the first answer
# returns its credit while the device still has the whole second request to compute.
CREDITS = 2
# Between two checks of the device. A wait for its event would not end when a request arrives.
POLL_S = 0.0002
LINGER_MS = 1000
HEARTBEAT_MS = 2000
DEVICE_FAILED_EXIT = 75  # EX_TEMPFAIL: a supervisor can restart the worker
# Delay before the socket closes, because an immediate close can lose the last message. Node ends its workers sooner.
LAST_WORD_S = 2.0
Work = tuple[int, dict[str, Any], list[memoryview]]  # session, request, buffers
log = logging.getLogger("qalign.worker")


@dataclass(frozen=True)
class Open:
    """A request of a session that is begun and not answered."""

    session: int
    identity: str
    begun: Begun


class Bridge:
    """Communicates with Node until Node sends drain, refuses the worker, or ends.

    Only the I/O thread uses the socket. Other threads queue messages and wake it.
    """

    def __init__(
        self,
        endpoint: str,
        identity: str,
        token: str,
        device: str,
        keys: dict[str, str] | None = None,
        make_handlers: Callable[[Callable[[], None]], Any] = Handlers,
    ) -> None:
        """With `keys` (public_key, secret_key, server_key) the socket uses CURVE. Over tcp the worker is independent of
        a Node: it connects to any Node that listens, and reconnects after every lost connection. A drain does not end
        it."""
        self._context = zmq.Context(io_threads=1)
        self._endpoint = endpoint
        self._stays = endpoint.startswith("tcp://")
        self._socket = self._context.socket(zmq.DEALER)
        if keys is not None:
            self._socket.curve_publickey = keys["public_key"].encode()
            self._socket.curve_secretkey = keys["secret_key"].encode()
            self._socket.curve_serverkey = keys["server_key"].encode()
        if self._stays:
            self._socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
            self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 3 * HEARTBEAT_MS)
            self._events = self._socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        self._socket.setsockopt(zmq.IDENTITY, identity.encode())
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        self._wake_in = self._context.socket(zmq.PAIR)
        self._wake_in.bind("inproc://wake")
        self._wake_lock = threading.Lock()
        self._wake_out = self._context.socket(zmq.PAIR)
        self._wake_out.connect("inproc://wake")
        self._outgoing: deque[dict[str, Any]] = deque()
        self._requests: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._cancelled: set[str] = set()
        self._running: str | None = None
        self._open: Open | None = None
        self._last_step = 0.0
        self._session = 0
        self._done = False
        self._drained = False
        self._failed = False
        self._device = device
        self._token = token
        self.handlers = make_handlers(self._step)

    def run(self) -> int:
        """Connect, send hello, serve. → the exit code: DEVICE_FAILED_EXIT when the device has failed."""
        capture(self.send)
        self._socket.connect(self._endpoint)
        if not self._stays:
            self._greet()
        io = threading.Thread(target=self._serve_socket, name="bridge", daemon=True)
        io.start()
        self._work()
        if self._failed:
            time.sleep(LAST_WORD_S)
        self._done = True
        self._wake()
        io.join()
        self._wake_out.close()
        self._context.term()
        return DEVICE_FAILED_EXIT if self._failed else 0

    def _work(self) -> None:
        """Answer requests until a drain or a failure of the device."""
        while not self._failed and (self._stays or not self._drained):
            while not self._failed and (work := self._next()) is not None:
                self._compute(*work)
            self._finish()
            if not self._failed:
                self.send({"type": "bye"})
            self._drained = True

    def _begin_session(self) -> None:
        """Start a session with a Node, which can be a new one: it gets no answers to earlier requests."""
        self._session += 1
        self._outgoing.clear()
        if (running := self._running) is not None:
            self._cancelled.add(running)
        self._greet()

    def _greet(self) -> None:
        self.send(
            {
                "type": "hello",
                "protocol": PROTOCOL_VERSION,
                "version": __version__,
                "pid": os.getpid(),
                "host": hostnames.gethostname(),
                "device": self._device,
                "token": self._token,
                "capabilities": [method for method in METHODS if hasattr(self.handlers, method)],
            }
        )

    def send(self, envelope: dict[str, Any]) -> None:
        """Queue a message for the I/O thread. Thread-safe."""
        self._outgoing.append(envelope)
        self._wake()

    def _wake(self) -> None:
        with self._wake_lock:  # a ZeroMQ socket needs a lock to be used from several threads
            if not self._wake_out.closed:
                self._wake_out.send(b"")

    def drain(self) -> None:
        """End after the current request, as when Node sends drain. Thread-safe."""
        self._requests.put(None)

    def _next(self) -> Work | None:
        """The next request, or None to drain. Meanwhile answers the request that the device computes."""
        while self._open is not None and not self._failed:
            try:
                if not self._open.begun.ready():
                    return self._requests.get(timeout=POLL_S)
                self._finish()
            except queue.Empty:
                continue
        return None if self._failed else self._requests.get()

    def _compute(self, session: int, request: dict[str, Any], buffers: list[memoryview]) -> None:
        """Begin a request, then answer the one before it. At most one request is begun and not answered."""
        if session != self._session:
            return
        if request["method"] not in getattr(self.handlers, "overlapping", ()):
            self._finish()
            if self._failed:
                return
        identity = request["id"]
        self._running, self._last_step = identity, time.monotonic()

        def report(progress: dict[str, Any]) -> None:
            self._answer(session, {"id": identity, "progress": progress})

        begun = begin(self.handlers, request, buffers, report)
        self._finish()
        if self._failed:
            return
        self._running, self._open = identity, Open(session, identity, begun)
        if begun.complete:
            self._finish()

    def _finish(self) -> None:
        """Answer the begun request, if there is one."""
        found, self._open = self._open, None
        if found is None:
            return
        self._running, self._last_step = found.identity, time.monotonic()
        result = found.begun.finish()
        self._running = None
        self._cancelled.discard(found.identity)
        if result.get("error", {}).get("code") == DEVICE_FAILED:
            # instead of an answer: Node then sends this worker's requests to another one
            self.send({"type": "bye", "error": result["error"]})
            self._failed = True
            return
        self._answer(found.session, result)
        self._answer(found.session, {"type": "credit", "credits": 1})

    def _answer(self, session: int, envelope: dict[str, Any]) -> None:
        """Send to the Node of this session. A Node that came later did not ask."""
        if session == self._session:
            self.send(envelope)

    def _step(self) -> None:
        """Called by the computation between chunks: records progress, and stops a cancelled request."""
        self._last_step = time.monotonic()
        if self._running in self._cancelled:
            raise Cancelled("The request was cancelled.")

    def _serve_socket(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._wake_in, zmq.POLLIN)
        if self._stays:
            poller.register(self._events, zmq.POLLIN)
        while not (self._done and not self._outgoing):
            ready = dict(poller.poll(1000))
            if self._wake_in in ready:
                self._wake_in.recv()
            if self._stays and self._events in ready:
                self._events.recv_multipart()
                self._begin_session()
            while self._outgoing:
                self._socket.send(json.dumps(self._outgoing.popleft(), allow_nan=False).encode())
            if self._socket in ready:
                self._receive(self._socket.recv_multipart(copy=False))
        self._socket.close()
        self._wake_in.close()

    def _receive(self, frames: list[zmq.Frame]) -> None:
        try:
            message = json.loads(frames[0].bytes)
        except ValueError:
            message = None
        name = envelope_name(message)
        problem = "not an envelope" if name is None else problem_with(name, message)
        if problem is not None:
            log.error("refused a message: %s", problem)
            if isinstance(message, dict) and isinstance(message.get("id"), str):
                self.send(
                    {
                        "id": message["id"],
                        "error": {
                            "code": "INVALID_REQUEST",
                            "message": f"The request does not match its schema: {problem}.",
                        },
                    }
                )
        elif name == "request":
            self._requests.put((self._session, message, [frame.buffer for frame in frames[1:]]))
        elif name == "ping":
            age = None if self._running is None else (time.monotonic() - self._last_step) * 1000
            memory = getattr(self.handlers, "device_memory", None)
            held = {} if memory is None else {"device_memory": memory}
            self.send({"type": "pong", "seq": message["seq"], "step_age_ms": age, "rss_bytes": rss_bytes(), **held})
        elif name == "cancel":
            self._cancelled.add(message["id"])
        elif name == "welcome":
            self.send({"type": "ready", "credits": CREDITS})
        elif name in ("drain", "bye"):
            self.drain()


def rss_bytes() -> int:
    """Resident memory of this process in bytes: the current value from /proc, or the peak without /proc."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def die_with_parent(endpoint: str) -> None:
    """End this process when Node's end of stdin closes, which also happens after kill -9.

    Node normally removes its private socket directory. When Node was killed, this process removes it.
    """

    def watch() -> None:
        while os.read(0, 4096):  # unbuffered: a lock on sys.stdin would abort the shutdown
            pass
        folder = Path(endpoint.removeprefix("ipc://")).parent
        if endpoint.startswith("ipc://") and folder.name.startswith("qalign-"):
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
