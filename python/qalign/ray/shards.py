"""The records of a job: its limits, its shards and its places."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limits:
    """How often something may go wrong, for one shard or one place. Durations are in seconds."""

    kills: int = 3
    """Workers that ended while they computed the shard; then it is set aside."""
    nodes: int = 10
    """Nodes that were lost while they computed the shard; then it is set aside."""
    tries: int = 3
    """Failures of the shard that the worker calls repeatable; then it has failed."""
    starts: int = 3
    """Workers of a place in a row that ended without a shard; then the place is closed."""
    losses: int = 5
    """Workers of a place in a row that ended with a shard; then it is closed, if another place works."""
    doubled: float = 0.01
    """Fraction of the shards, at least one, that may run twice at the end."""
    slow: float = 2.0
    """A shard may run twice if it takes this many times as long as the median."""
    patience_s: float = 1800.0
    """Time without a ready worker, until the job ends with an error."""
    gate_s: float = 300.0
    """Longest wait of the first ready worker for the others of the first wave."""
    silence_s: float = 1800.0
    """Time without an event of a busy worker, until it is replaced."""


@dataclass
class Shard:
    """A shard of the job. `line` is what a worker reads: `shard`, `index` (from 0) and possibly `output`."""

    line: dict
    kills: int = 0
    nodes: int = 0
    failures: int = 0
    places: set[int] = field(default_factory=set)
    """Places that compute it now: at most one, or two at the end of a job."""
    outcome: str | None = None
    """`done`, `failed` or `aside`; None while the shard is open."""


STARTING, IDLE, BUSY, CLOSED = "starting", "idle", "busy", "closed"


@dataclass
class Place:
    """A slot for a worker, such as one GPU. Times are those of the driver's clock, in seconds."""

    state: str = STARTING
    node: str | None = None
    """The node of the worker; None until Ray has placed it."""
    index: int | None = None
    """The shard at hand."""
    since: float = 0.0
    heard: float = 0.0
    items: int = 0
    was_ready: bool = False
    starts: int = 0
    losses: int = 0

    @property
    def is_ready(self) -> bool:
        return self.state in (IDLE, BUSY)
