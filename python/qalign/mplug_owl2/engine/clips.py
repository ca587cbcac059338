"""Features of clips that arrive in chunks, kept on the device until their clip is scored."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from qalign.weights.answers import ClipRange
from qalign.weights.errors import OutOfRoom, UnknownClip

AGE_S = 900.0  # a client that went away without a word


@dataclass
class Kept:
    """One clip: [F, Q + 1, D] for each chunk, in order."""

    parts: list[Tensor] = field(default_factory=list)
    frames: int = 0
    used: float = 0.0


class KeptClips:
    """Clips by name. They take at most half of what was free; one that nobody named for `AGE_S` is dropped."""

    def __init__(self, free_bytes: Callable[[], int | None], clock: Callable[[], float] = time.monotonic) -> None:
        self._free_bytes, self._clock = free_bytes, clock
        self._clips: dict[str, Kept] = {}

    def __len__(self) -> int:
        return len(self._clips)

    @property
    def bytes(self) -> int:
        """What the features of all clips take."""
        return sum(part.nbytes for kept in self._clips.values() for part in kept.parts)

    def expect(self, clip: str, first: int, size: int) -> None:
        """Whether `size` bytes of frames from number `first` on may be added. Frame 0 begins the clip anew.

        Raises UnknownClip when the frames before are not kept, OutOfRoom when the features would take too much.
        """
        now = self._clock()
        for name in [name for name, kept in self._clips.items() if now - kept.used > AGE_S]:
            del self._clips[name]
        if first == 0:
            self._clips.pop(clip, None)
        kept = self._clips.get(clip)
        frames = 0 if kept is None else kept.frames
        if first != frames:
            raise UnknownClip(
                f"Clip {clip} continues at frame {first}, but {frames} of its frames are kept; "
                "send it again from frame 0."
            )
        free, held = self._free_bytes(), self.bytes
        if free is not None and held + size > (free + held) // 2:
            raise OutOfRoom(
                f"The features of clips take {_gb(held + size)}, over half of the {_gb(free + held)} that are free; "
                "use fewer frames or score fewer clips at a time."
            )

    def add(self, clip: str, features: Tensor) -> int:
        """The next frames of the clip, [F, Q + 1, D]. → its frames now."""
        kept = self._clips.setdefault(clip, Kept())
        kept.parts.append(features)
        kept.frames += len(features)
        kept.used = self._clock()
        return kept.frames

    def parts(self, wanted: ClipRange) -> list[Tensor]:
        """The features of these frames, as views of what is kept. Raises UnknownClip."""
        kept = self._clips.get(wanted.clip)
        stop = wanted.first + wanted.frames
        if kept is None or stop > kept.frames:
            raise UnknownClip(
                f"Frames {wanted.first} to {stop - 1} of clip {wanted.clip} were asked for, and "
                f"{0 if kept is None else kept.frames} of its frames are kept; send it again from frame 0."
            )
        kept.used = self._clock()
        found, at = [], 0
        for part in kept.parts:
            inside = part[max(0, wanted.first - at) : max(0, stop - at)]
            at += len(part)
            if len(inside):
                found.append(inside)
        return found

    def release(self, clip: str) -> None:
        """Let a clip go, if it is there."""
        self._clips.pop(clip, None)


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
