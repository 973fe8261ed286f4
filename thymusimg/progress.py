"""How long work tells its caller where it is, and how the caller stops it."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called as ``progress(stage, fraction)`` with ``fraction`` in [0, 1].

A caller stops the work by raising :class:`thymusimg.errors.CancelledError` from it.
"""


def silent(stage: str, fraction: float) -> None:
    """Report to nobody."""
