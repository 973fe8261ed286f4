"""The first study.toml and study table, written from a folder of slides."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from thymusimg.errors import CallError
from thymusimg.section.model import ROLES
from thymusimg.study.template_find import SLIDE_SUFFIXES, Found, find_slides, section_ids
from thymusimg.study.template_look import ASK, NEEDED, Looked, look_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

TABLE_NAME = "study.csv"
_FIRST = ("section_id", "path")
_OFTEN = ("animal", "group", "donor", "batch", "timepoint")
_LAST = ("negative_control", "exclude", "notes")
_NAMES = {"cd45": "CD45", "k14": "K14", "k8": "K8", "dapi": "nuclei"}

_TOML = """\
# A thymusimg study. Two things are yours to do before the first run:
#   1. {table}: fill in animal and group in every row, and every ? (a spreadsheet will do; save it as CSV again).
#   2. here: say which group the others are compared with (reference, below).
# Then:  thymusimg run study.toml --out results
# Every line that begins with # is a comment: take the # away to use a setting. Unknown keys are refused.

{channels}
[study]
# One row a section. What the slides say of themselves stands in the table already; what they cannot say is yours:
#   animal            the mouse: the unit of every comparison. Several sections of one mouse share its name
#   group             its treatment
#   donor, batch      donor of the human cells; staining or imaging batch: leave empty if there is only one
#   cd45 k14 k8 dapi  the stain's channel: its number (from 0) or name; none if the slide has no such stain
#   negative_control  yes for untreated mice or secondary-only sections: they set the threshold of human CD45
#   exclude           yes to leave a section out; it stays listed, say why in notes
# Further columns that you may add: level, lobe, scene, projection (max or mean), pixel_size_um, annotation,
# roi (a GeoJSON outline, where several sections lie on one slide),
# and path_cd45, path_k14, path_k8, path_dapi instead of path where each stain is a file of its own.
table = "{table}"

# The group that every other group is compared with, as it is written in the table. Without it nothing is compared.
# reference = "GROUP"

# What the study is to answer: at most three columns, declared before looking; everything else is exploratory.
#   cd45_area_fraction      how much of the parenchyma human CD45+ cells cover
#   segregation_index_50um  how far cortex and medulla have come apart, 0 to 1
#   cortical_coverage       along how much of the capsule cortex lies under it, 0 to 1
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


@dataclass(frozen=True)
class Template:
    """A study to fill in.

    Attributes
    ----------
    toml, table : str
        Texts of ``study.toml`` and ``study.csv``. Write the table as ``utf-8-sig``: then spreadsheets read accents.
    said : tuple of str
        What was found and what is left to do, in plain lines.
    """

    toml: str
    table: str
    said: tuple[str, ...]


def init_study(
    folder: Path,
    *,
    subfolders: bool = True,
    semicolon: bool = False,
    channels: Mapping[str, str | int] | None = None,
    look: Callable[[Path], list[Looked]] = look_at,
) -> Template:
    """Write a commented ``study.toml`` and a study table from a folder of slides, as text.

    Slides are found by their names and opened, but their pixels are not read: scenes become rows, and channels
    whose names say a stain stand in its column. What cannot be known is ``?`` (channels, pixel sizes, z-stacks) or
    empty (animal and group, which are never guessed from names), and a run refuses the table, naming the cells,
    until they are filled in.

    Parameters
    ----------
    folder
        Where the slides lie and where both files belong: paths in the table are relative to it.
    subfolders
        Whether slides in its subfolders belong to the study.
    semicolon
        Separate cells by semicolons, as spreadsheets in German or French want them.
    channels
        Channel name or number of a stain in every slide, where the user said it.
    look
        Says what a slide holds.

    Raises
    ------
    CallError
        If the folder is missing or holds no slides.
    """
    if not folder.is_dir():
        raise CallError(f"{folder} is not a folder; expected the folder that holds the slides")
    found = find_slides(folder, subfolders=subfolders)
    if not found.slides:
        raise CallError(f"{folder}: no slides found; expected files that end in {', '.join(SLIDE_SUFFIXES)}")
    given = {role: str(channel) for role, channel in (channels or {}).items()}
    seen = [
        (path, replace(looked, roles={**looked.roles, **given})) for path in found.slides for looked in look(path)
    ]
    columns = _columns(seen)
    text = io.StringIO()
    # Lines end as spreadsheets end them; cells that begin like a formula cannot come from a file's name alone.
    writer = csv.DictWriter(
        text, columns, restval="", lineterminator="\r\n", delimiter=";" if semicolon else ",", extrasaction="ignore"
    )
    writer.writeheader()
    ids = section_ids([(path, looked.scene) for path, looked in seen], folder)
    for (path, looked), section_id in zip(seen, ids, strict=True):
        writer.writerow(
            {
                "section_id": section_id,
                "path": path.relative_to(folder).as_posix(),
                "scene": looked.scene,
                "projection": looked.projection,
                "pixel_size_um": looked.pixel_size,
                **looked.roles,
            }
        )
    listed = "".join(f"# {line}\n" for line in _channel_lines(seen))
    return Template(_TOML.format(table=TABLE_NAME, channels=listed), text.getvalue(), _said(found, seen))


def _columns(seen: Sequence[tuple[Path, Looked]]) -> tuple[str, ...]:
    """Return the table's columns; those for the rare cases only where a slide is one."""
    rare = [
        name
        for name, needed in (
            ("scene", any(looked.scene for _, looked in seen)),
            ("projection", any(looked.projection for _, looked in seen)),
            ("pixel_size_um", any(looked.pixel_size for _, looked in seen)),
        )
        if needed
    ]
    return (*_FIRST, *rare, *_OFTEN, *ROLES, *_LAST)


def _channel_lines(seen: Sequence[tuple[Path, Looked]]) -> list[str]:
    """List the channels that were read, each combination once, with the number of its sections."""
    counts: dict[tuple[str, ...], int] = {}
    for _, looked in seen:
        if looked.channels:
            counts[looked.channels] = counts.get(looked.channels, 0) + 1
    return [
        f"Channels of {_count(n, 'section')}: "
        + ", ".join(f"{i} '{name}'" if name else f"{i} (no name)" for i, name in enumerate(names))
        for names, n in counts.items()
    ]


def _said(found: Found, seen: Sequence[tuple[Path, Looked]]) -> tuple[str, ...]:
    lines = [f"Found {_count(len(found.slides), 'slide')} with {_count(len(seen), 'section')}."]
    if found.pictures or found.others:
        left = [f"{len(found.pictures)} JPEG or PNG (previews)"] if found.pictures else []
        left += [_count(found.others, "other file")] if found.others else []
        lines.append(f"Left out: {' and '.join(left)}.")
    lines += _channel_lines(seen)
    lines += _questions(seen)
    lines += dict.fromkeys(f"Cannot be opened: {looked.error}" for _, looked in seen if looked.error)
    return tuple(lines)


def _questions(seen: Sequence[tuple[Path, Looked]]) -> list[str]:
    lines: list[str] = []
    open_roles = [role for role in NEEDED if any(looked.roles.get(role) == ASK for _, looked in seen)]
    if open_roles:
        lines.append(
            f"Not every slide's channel names say which is {_either([_NAMES[role] for role in open_roles])}: in "
            f"{_either(open_roles, 'and')}, type the channel's number or name for every ?, none if there is none."
        )
    sizes = sorted({f"{looked.size_um:.4g}" for _, looked in seen if looked.size_um is not None})
    beside = f"; the other slides say {_either(sizes)}" if sizes else ""
    for name, what in (
        ("pixel_size", f"has no pixel size: in pixel_size_um, type µm per pixel for every ?, like 0.325{beside}."),
        ("projection", "is a z-stack: in projection, type max or mean for every ?."),
    ):
        asked = dict.fromkeys(path.name for path, looked in seen if getattr(looked, name) == ASK)
        if asked:
            first, more = next(iter(asked)), len(asked) - 1
            lines.append(f"{first}{f' (and {more} more)' if more else ''} {what}")
    if all(len(looked.channels) <= 1 for _, looked in seen) and any(looked.channels for _, looked in seen):
        lines.append(
            "Every slide has one channel: if each stain is a file of its own, give one row a section with its "
            "files in path_cd45, path_k14, path_k8 in place of path."
        )
    return lines


def _either(words: Sequence[str], last: str = "or") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def _count(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"
