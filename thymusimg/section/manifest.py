"""The list of a bundle's files, by which one that lost some of them is known for what it is.

A bundle is renamed into its place when it is whole; but a disk that lost power, or a copy that was broken off, may
leave files short or away, and an absent chunk of zarr reads as zeros without an error.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAME = "manifest.json"
"""Holds the size in bytes of every other file of the bundle, by its path in it."""


def seal(folder: Path) -> None:
    """Write the list of a finished bundle's files."""
    sizes = {file.relative_to(folder).as_posix(): file.stat().st_size for file in _files(folder)}
    (folder / NAME).write_text(json.dumps(sizes), encoding="ascii")


def damage(folder: Path) -> str:
    """Say what a bundle has lost, as one clause; "" if every file has its size, or none was listed.

    Files beside those that were listed do not matter.
    """
    try:
        listed = json.loads((folder / NAME).read_text(encoding="ascii"))
        wrong = next((name for name, size in listed.items() if _size(folder / name) != size), "")
    except FileNotFoundError:  # of a version that kept no list
        return ""
    except (OSError, ValueError, AttributeError):
        return f"{NAME} cannot be read"
    return f"{wrong} is missing or short" if wrong else ""


def _files(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name != NAME]


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return -1
