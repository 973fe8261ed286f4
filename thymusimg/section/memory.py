"""How much memory an analysis needs, how much there is, and giving back what was freed."""

from __future__ import annotations

import ctypes
import math
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from thymusimg.errors import SectionError

if TYPE_CHECKING:
    from thymusimg.section.model import Section

BASE_BYTES = 0.5e9
"""Imports, compiled code and full-resolution tiles under work: what any section takes."""

PIXEL_BYTES = 220.0
"""Bytes a coarse pixel of the frame at the peak, measured with tissue everywhere."""

_ARENA_MAX = -8  # glibc's M_ARENA_MAX

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where containers and batch systems set a limit that the machine's memory does not show."""


class TooLargeError(SectionError):
    """The section would need more memory than there is; nothing was begun."""


def needed_bytes(section: Section) -> float:
    """Return an estimate of the peak memory of a section's analysis, in its frame."""
    return BASE_BYTES + PIXEL_BYTES * math.prod(section.grid.shape)


def free_bytes() -> float:
    """Return how much memory this process may still take, by the machine and by its container."""
    free = float(psutil.virtual_memory().available)
    own = float(psutil.Process().memory_info().rss)
    for file in LIMITS:
        try:
            limit = float(Path(file).read_text(encoding="ascii"))
        except (OSError, ValueError):  # no such limit, or "max"
            continue
        free = min(free, limit - own)
    return free


def require_memory(section: Section) -> None:
    """Refuse a section that would need more memory than there is.

    Raises
    ------
    TooLargeError
        Says how much it would need and how much there is.
    """
    # what the process already holds (imports, compiled code) is part of what it needs
    needed = needed_bytes(section) - float(psutil.Process().memory_info().rss)
    free = free_bytes()
    if needed > free:
        height, width = section.shape
        raise TooLargeError(
            f"{section.image.path}: the tissue spans {height:,} × {width:,} px and needs about "
            f"{needed_bytes(section) / 1e9:.1f} GB of memory; {free / 1e9:.1f} GB are free. Use fewer workers or a "
            "larger machine, or outline one section with an ROI (in a study table: column 'roi')."
        )


def share_pools() -> None:
    """Let all threads take memory from two pools of the C library instead of one a thread, from now on.

    Every pool keeps what was freed in it; eight of them hold 0.2 GB more at the peak, and are no faster.
    """
    library = _library()
    if library is not None:
        library.mallopt(_ARENA_MAX, 2)


def give_back() -> None:
    """Give memory that was freed back to the system, where the C library keeps it for later.

    Arrays of a few megabytes come from its pools; what one stage freed there the next may not find.
    """
    library = _library()
    if library is not None:
        library.malloc_trim(0)


@cache
def _library() -> ctypes.CDLL | None:
    """Return glibc; None where there is another C library."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL("libc.so.6")
        return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None
    except OSError:
        return None
