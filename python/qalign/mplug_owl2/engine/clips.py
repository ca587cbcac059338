"""Features of clips that arrive in chunks, kept on the device until their clip is scored."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from qalign.weights.answers import ClipRange
from qalign.weights.errors import OutOfRoom, UnknownClip

AGE_S = 900.0  # a client can disconnect without releasing its clip


@dataclass
class Kept:
    """The features of one clip: [F, Q + 1, D] for each chunk, in order."""

    parts: list[Tensor] = field(default_factory=list)
    frames: int = 0
    used: float = 0.0


class KeptClips:
    """Features of clips by name. They use at most half of the free memory. A clip unused for `AGE_S` is dropped."""

    def __init__(self, free_bytes: Callable[[], int | None], clock: Callable[[], float] = time.monotonic) -> None:
        self._free_bytes, self._clock = free_bytes, clock
        self._clips: dict[str, Kept] = {}

    def __len__(self) -> int:
        return len(self._clips)

    @property
    def bytes(self) -> int:
        """The memory of all features."""
        return sum(part.nbytes for kept in self._clips.values() for part in kept.parts)

    def expect(self, clip: str, first: int, size: int) -> None:
        """Check that `size` bytes of features can be added from frame `first` on. Frame 0 restarts the clip.

        Raises UnknownClip when earlier frames are missing, and OutOfRoom when the features would need too much memory.
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
                f"Clip {clip} continues at frame {first}, but the worker holds {frames} of its frames; "
                "send the clip again from frame 0."
            )
        free, held = self._free_bytes(), self.bytes
        if free is not None and held + size > (free + held) // 2:
            raise OutOfRoom(
                f"The features of clips need {_gb(held + size)}, over half of the {_gb(free + held)} of free memory; "
                "use fewer frames or score fewer clips at a time."
            )

    def add(self, clip: str, features: Tensor) -> int:
        """Append the features of the next frames, [F, Q + 1, D]. → the clip's number of frames."""
        kept = self._clips.setdefault(clip, Kept())
        kept.parts.append(features)
        kept.frames += len(features)
        kept.used = self._clock()
        return kept.frames

    def parts(self, wanted: ClipRange) -> list[Tensor]:
        """The features of these frames, as views. Raises UnknownClip."""
        kept = self._clips.get(wanted.clip)
        stop = wanted.first + wanted.frames
        if kept is None or stop > kept.frames:
            raise UnknownClip(
                f"Frames {wanted.first} to {stop - 1} of clip {wanted.clip} were requested, but the worker holds "
                f"{0 if kept is None else kept.frames} of its frames; send the clip again from frame 0."
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
        """Delete a clip, if it exists."""
        self._clips.pop(clip, None)


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
