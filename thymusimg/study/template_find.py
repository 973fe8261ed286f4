"""The slides of a folder by their names, and ids for their sections."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from thymusimg.study import entries

if TYPE_CHECKING:
    from collections.abc import Sequence

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
SLIDE_SUFFIXES = (
    *(".ome.tiff", ".ome.tif", ".ome.zarr", ".tiff", ".tif", ".zarr", ".czi", ".nd2", ".lif"),
    *(".qptiff", ".scn", ".svs", ".vsi", ".oir", *PICTURE_SUFFIXES),
)
"""How slides' names end; the longest first, because all of it is cut off for the section's id."""

_OTHERS = frozenset({".csv", ".toml"})


@dataclass(frozen=True)
class Found:
    """What lies in a folder.

    Attributes
    ----------
    slides : tuple of Path
        In the order in which people number them.
    pictures : tuple of Path
        JPEG and PNG beside slides of other formats: previews and thumbnails, which are left out. Where there is
        nothing else, they are the slides.
    others : int
        Files that no slide is called like.
    """

    slides: tuple[Path, ...]
    pictures: tuple[Path, ...]
    others: int


def find_slides(folder: Path, *, subfolders: bool = True) -> Found:
    """List the files and Zarr folders whose names end like a slide's, hidden ones left out; none is opened."""
    named, others = [], 0
    for root, folders, files in os.walk(folder):
        visible = [name for name in (*folders, *files) if not name.startswith(".")]
        named += [Path(root) / name for name in visible if _suffix(name) and (name in files or _is_zarr(name))]
        others += sum(
            not _suffix(name) and Path(name).suffix.lower() not in _OTHERS for name in visible if name in files
        )
        folders[:] = [name for name in folders if subfolders and _may_hold_slides(Path(root) / name)]
    named.sort(key=lambda path: _natural(path.relative_to(folder).as_posix()))
    pictures = [path for path in named if _suffix(path.name) in PICTURE_SUFFIXES]
    slides = [path for path in named if path not in set(pictures)]
    return Found(tuple(slides), tuple(pictures), others) if slides else Found(tuple(pictures), (), others)


def section_ids(slides: Sequence[tuple[Path, str]], folder: Path) -> list[str]:
    """Name sections by their files and scenes; by folder and file where two files share a name.

    Parameters
    ----------
    slides : sequence of (Path, str)
        Files under ``folder``, each with its scene, "" where the file holds one only.
    """
    relative = [(path.relative_to(folder), scene) for path, scene in slides]
    short = [_safe(path.name, scene) for path, scene in relative]
    folded = [entries.folded(name) for name in short]
    long = [_safe("_".join(path.parts), scene) for path, scene in relative]
    ids: list[str] = []
    taken: set[str] = set()
    for i, name in enumerate(folded):
        wanted = short[i] if folded.count(name) == 1 else long[i]
        section_id, count = wanted, 1
        while entries.folded(section_id) in taken:
            count += 1
            section_id = f"{wanted}_{count}"
        taken.add(entries.folded(section_id))
        ids.append(section_id)
    return ids


def _suffix(name: str) -> str:
    return next((suffix for suffix in SLIDE_SUFFIXES if name.lower().endswith(suffix)), "")


def _may_hold_slides(folder: Path) -> bool:
    """Tell whether to look into a folder: not into hidden ones, into a slide, or into the results of a run."""
    if folder.name.startswith(".") or _is_zarr(folder.name):
        return False
    return not ((folder / "run.json").is_file() and (folder / "sections").is_dir())


def _is_zarr(name: str) -> bool:
    return _suffix(name).endswith(".zarr")


def _safe(name: str, scene: str) -> str:
    stem = name[: len(name) - len(_suffix(name))]
    safe = re.sub(r"[^\w.-]+", "_", f"{stem}_{scene}" if scene else stem).strip("._") or "section"
    safe = safe.encode()[:100].decode(errors="ignore")
    try:
        entries.check_id(safe)
    except ValueError:
        return f"section_{safe}"
    return safe


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Sort ``s2`` before ``s10``."""
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in re.split(r"([0-9]+)", text)
    ]
