"""The first study.toml and study table, written from a folder of slides."""

from __future__ import annotations

import csv
import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from thymusimg.errors import CallError
from thymusimg.study import entries

if TYPE_CHECKING:
    from collections.abc import Iterable

SLIDE_SUFFIXES = (
    *(".ome.tiff", ".ome.tif", ".ome.zarr", ".tiff", ".tif", ".zarr", ".czi", ".nd2", ".lif"),
    *(".qptiff", ".scn", ".svs", ".vsi", ".oir", ".png", ".jpg", ".jpeg"),
)
"""How slides' names end; the longest first, because all of it is cut off for the section's id."""

TABLE_NAME = "study.csv"
_COLUMNS = (
    *("section_id", "path", "animal", "group", "donor", "batch", "timepoint"),
    *("cd45", "k14", "k8", "dapi", "negative_control", "exclude", "notes"),
)

_TOML = f"""\
# A thymusimg study. Fill in {TABLE_NAME}, then:  thymusimg run study.toml --out results
# Every line that begins with # is a comment. Unknown keys are refused.

[study]
# One row a section. section_id and path are written for you; animal and group are yours to fill in, in every row.
#   animal            the mouse: the unit of every comparison
#   group             its treatment
#   donor, batch      donor of the human cells; staining or imaging batch: leave empty if there is only one
#   cd45 k14 k8 dapi  name or number (from 0) of the stain's channel; empty if the file's own names say it
#   negative_control  yes for untreated mice or secondary-only sections: they set the threshold of human CD45
#   exclude           yes to leave a section out; it stays listed, say why in notes
# Further columns: level, lobe, scene, projection, roi, pixel_size_um, annotation,
# and path_cd45, path_k14, path_k8, path_dapi instead of path where each stain is a file of its own.
table = "{TABLE_NAME}"

# The group that every other group is compared with. Without it nothing is compared.
# reference = "GROUP"

# At most three columns, declared before looking; everything else is exploratory.
# primary = ["cd45_area_fraction", "segregation_index_50um", "cortical_coverage"]

# The Organisation Index needs wild-type and untreated mice of another study: the animals.csv of its run.
# organisation_reference = "EARLIER_RUN/tables/animals.csv"
# wild_type = "GROUP"
# untreated = "GROUP"

[compartments]
# method = "keratin"    # keratin (no training), forest, network, or a model

[cells]
# method = "classical"  # classical (no training), network, cellpose, a model, or none
"""


def init_study(folder: Path) -> tuple[str, str]:
    """Write a commented ``study.toml`` and a study table from a folder of slides, as text.

    Slides are found by their names, subfolders included; none is opened. Animal and group stay empty: they are
    never guessed from names, and a run refuses the table until they are filled in.

    Parameters
    ----------
    folder
        Where the slides lie and where both files belong: paths in the table are relative to it.

    Returns
    -------
    toml, csv : str
        Texts of ``study.toml`` and ``study.csv``. Write the table as ``utf-8-sig``: then spreadsheets read
        accents.

    Raises
    ------
    CallError
        If the folder is missing or holds no slides.
    """
    if not folder.is_dir():
        raise CallError(f"{folder} is not a folder; expected the folder that holds the slides")
    slides = sorted(find_slides(folder), key=lambda path: _natural(path.relative_to(folder).as_posix()))
    if not slides:
        raise CallError(f"{folder}: no slides found; expected files that end in {', '.join(SLIDE_SUFFIXES)}")
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for slide, section_id in zip(slides, _ids(slides, folder), strict=True):
        writer.writerow({"section_id": section_id, "path": slide.relative_to(folder).as_posix()})
    return _TOML, text.getvalue()


def find_slides(folder: Path) -> list[Path]:
    """List files and Zarr folders under ``folder`` whose names end like a slide's, hidden ones left out."""
    found = []
    for root, folders, files in os.walk(folder):
        visible = [name for name in (*folders, *files) if not name.startswith(".")]
        found += [Path(root) / name for name in visible if _suffix(name) and (name in files or _is_zarr(name))]
        folders[:] = [name for name in folders if not name.startswith(".") and not _is_zarr(name)]
    return found


def _suffix(name: str) -> str:
    return next((suffix for suffix in SLIDE_SUFFIXES if name.lower().endswith(suffix)), "")


def _is_zarr(name: str) -> bool:
    return _suffix(name).endswith(".zarr")


def _ids(slides: Iterable[Path], folder: Path) -> list[str]:
    """Name sections by their files; by folder and file where two files share a name."""
    relative = [slide.relative_to(folder) for slide in slides]
    short = [_safe(path.name) for path in relative]
    folded = [entries.folded(name) for name in short]
    long = [_safe("_".join(path.parts)) for path in relative]
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


def _safe(name: str) -> str:
    stem = name[: len(name) - len(_suffix(name))]
    safe = re.sub(r"[^\w.-]+", "_", stem).strip("._") or "section"
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
