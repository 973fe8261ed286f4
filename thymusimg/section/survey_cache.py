"""Keeping what a survey streamed, so that a second run does not stream it again."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import imagecodecs
import numpy as np

from thymusimg.errors import OutputError
from thymusimg.section.model import Window

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from thymusimg.section.model import FloatPlane, Section

VERSION = 2
"""Raised whenever a survey's numbers, or the way they are kept, change."""

KEPT_FROM_PX = 100_000_000
"""Smaller slides are streamed again: that takes a second or two, and a study's folder stays small."""


class Surveyed(NamedTuple):
    """One channel's share of a survey: the coarse plane, and (N, 10) rows of tiles (y0, x0, y1, x1, statistics)."""

    plane: FloatPlane
    tiles: npt.NDArray[np.float64]


def place(cache: Path | None, section: Section, role: str) -> Path | None:
    """Return where a channel's share is kept; None where nothing is kept."""
    identity = getattr(section.image, "identity", "")
    if cache is None or not identity or prod(section.slide_shape) < KEPT_FROM_PX:
        return None
    text = f"{VERSION}|{identity}|{section.roles[role]}|{section.grid.factor}|{section.image.max_value}"
    if section.frame is not None:
        text += f"|{tuple(section.frame)}"
    return cache / f"survey-{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"


def _frame_file(cache: Path | None, section: Section) -> Path | None:
    identity = getattr(section.image, "identity", "")
    if cache is None or not identity:
        return None
    text = f"{VERSION}|{identity}|{sorted(section.roles.items())}|{section.grid.factor}|frame"
    return cache / f"frame-{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def load_frame(cache: Path | None, section: Section) -> Window | None:
    """Return the frame that was found on a flat slide, or None."""
    file = _frame_file(cache, section)
    try:
        return None if file is None else Window(*(int(edge) for edge in json.loads(file.read_text("ascii"))))
    except (OSError, ValueError, TypeError):
        return None


def save_frame(cache: Path | None, section: Section, frame: Window) -> None:
    """Keep the frame that was found on a flat slide.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    file = _frame_file(cache, section)
    if file is None:
        return
    part = file.with_suffix(f".{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(list(frame)), "ascii")
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"{file.parent}: the survey cannot be kept there ({error.strerror or error}).") from error


def load(file: Path | None, section: Section) -> Surveyed | None:
    """Return what is kept, or None if there is nothing or it is damaged."""
    if file is None or not file.is_file():
        return None
    try:
        with file.open("rb") as handle, np.load(handle, allow_pickle=False) as kept:
            values = np.frombuffer(imagecodecs.blosc_decode(kept["plane"].tobytes()), np.float32)
            return Surveyed(values.reshape(section.grid.shape).copy(), kept["tiles"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, imagecodecs.BloscError):
        return None  # an interrupted copy is streamed anew


def save(file: Path | None, surveyed: Surveyed) -> None:
    """Keep a channel's share; whole or not at all.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    if file is None:
        return
    packed = imagecodecs.blosc_encode(
        surveyed.plane.tobytes(),
        level=1,
        compressor="zstd",
        shuffle="bitshuffle",
        typesize=4,
        numthreads=1,
    )
    part = file.with_suffix(f".{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as handle:
            np.savez(handle, plane=np.frombuffer(packed, np.uint8), tiles=surveyed.tiles)
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"{file.parent}: the survey cannot be kept there ({error.strerror or error}).") from error
