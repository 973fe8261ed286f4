"""A section measured again with other settings, from what its bundle keeps or from its slide."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from thymusimg.batch.corrections import Corrections
from thymusimg.batch.record import FOUND, POSITIVE, positive_fraction
from thymusimg.cells.assign import assign_cells
from thymusimg.cells.model import CellMasks, Cells, Gate
from thymusimg.compartments.edited import carry_over
from thymusimg.compartments.model import Compartments, Tissue
from thymusimg.errors import UnreadableError
from thymusimg.measurements.families import FAMILIES
from thymusimg.measurements.row import Row
from thymusimg.measurements.view import SectionView
from thymusimg.pipeline import COMPARTMENT_METHODS
from thymusimg.section.model import Grid, Level, Section, Subject
from thymusimg.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import numpy.typing as npt

    from thymusimg.section.model import FloatPlane, LabelPlane, Window
    from thymusimg.section.store import Bundle

PLACED = ("compartment", "distance_to_cmj_um", "depth_from_capsule_um", "axis")
"""Columns of the cells that the compartments give them."""


@dataclass(frozen=True)
class NoImage:
    """Stands where the slide was: it has a shape, and no pixels."""

    shape: tuple[int, int]
    path: str = ""
    format: str = "bundle"
    channel_names: tuple[str, ...] = ()
    emission_nm: tuple[float | None, ...] = ()
    dtype: np.dtype[np.generic] = np.dtype(np.float32)  # noqa: RUF009  immutable
    max_value: float = math.nan
    tile_shape: tuple[int, int] = (1, 1)
    pixel_size_um: tuple[float, float] | None = None
    semi_quantitative: bool = False
    lossy: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def levels(self) -> tuple[Level, ...]:
        """The full resolution, of which only the shape is known."""
        return (Level(self.shape, 1.0),)

    def read(self, level: int, channel: int, window: Window) -> npt.NDArray[np.generic]:
        """Refuse.

        Raises
        ------
        UnreadableError
        """
        raise UnreadableError(f"{self.path}: only its bundle is open, which keeps no full-resolution pixels")

    def close(self) -> None:
        """Do nothing."""


class Watched:
    """Settings that note which of their values are read."""

    def __init__(self, settings: object, table: str, read: set[str]) -> None:
        self._settings, self._table, self._read = settings, table, read

    def __getattr__(self, name: str) -> Any:
        """Hand on a value and note its name."""
        self._read.add(f"{self._table}.{name}")
        return getattr(self._settings, name)


class Drawn(NamedTuple):
    """The compartments of a section, and its cells placed in them."""

    compartments: Compartments
    cells: Cells | None


@dataclass(frozen=True)
class Stored:
    """What a bundle keeps of a section, as the stages know it."""

    section: Section
    settings: Settings
    planes: Mapping[str, FloatPlane]
    tissue: Tissue
    cells: Cells | None
    cells_reason: str
    corrections: Corrections | None = None

    @classmethod
    def of(cls, bundle: Bundle) -> Stored:
        """Read a bundle.

        Raises
        ------
        UnreadableError
            If the bundle is of a version that kept too little.
        """
        record = bundle.attributes
        try:
            found = np.asarray(bundle.label(FOUND))
        except (OSError, KeyError, ValueError):
            raise UnreadableError(
                f"{bundle.path.name}: written by a version that kept no intermediates; run the study again "
                "with --restart"
            ) from None
        planes, slide = bundle.planes, record["slide"]
        image = NoImage(tuple(slide["shape"]), path=slide["path"])
        section = Section(
            Subject(**record["subject"]),
            image,
            {role: i for i, role in enumerate(planes)},
            slide["markers"],
            slide["pixel_size_um"],
            frame=bundle.grid.frame,
        )
        tissue = Tissue((found & 1) > 0, (found & 2) > 0, {}, {})
        settings = Settings.from_mapping(record["settings"], where=str(bundle.path))
        cells = _cells(bundle, section.grid)
        return cls(section, settings, planes, tissue, cells, record["cells_reason"], Corrections.of(bundle))

    def draw(self, settings: Settings, read: set[str] | None = None) -> Drawn:
        """Draw the compartments again, with what people changed in them, and place the cells in them.

        Parameters
        ----------
        settings : Settings
            May differ from the bundle's in ``compartments``.
        read : set of str, optional
            Filled with the settings that were read.

        Raises
        ------
        UnreadableError
            If the method needs more than a bundle keeps.
        """
        method = settings.compartments.method
        if method != "keratin":
            raise UnreadableError(
                f"compartments by '{method}' cannot be drawn again from a bundle; only 'keratin' can"
            )
        used = settings.compartments if read is None else Watched(settings.compartments, "compartments", read)
        drawn = COMPARTMENT_METHODS[method](self.planes, self.tissue, self.section.grid, cast("Any", used))
        if self.corrections is not None and self.corrections.labels is not None:
            labels, original = self.corrections.labels, cast("LabelPlane", self.corrections.original)
            drawn = carry_over(drawn, labels, original, cast("Any", used))
        cells = self.cells
        if cells is not None:
            bare = cells.table.drop(columns=[name for name in PLACED if name in cells.table])
            cells = assign_cells(replace(cells, table=bare), drawn)
        return Drawn(drawn, cells)

    def measure(
        self, drawn: Drawn, settings: Settings, names: Collection[str], read: set[str] | None = None
    ) -> dict[str, float]:
        """Measure some columns of ``sections.csv`` again; NaN where undefined.

        Parameters
        ----------
        drawn : Drawn
            From :meth:`draw`.
        settings : Settings
            May differ from the bundle's in ``measurements``.
        names : collection of str
            The columns.
        read : set of str, optional
            Filled with the settings that were read.
        """
        used = settings.measurements if read is None else Watched(settings.measurements, "measurements", read)
        view = SectionView(self.section, drawn.compartments, self.planes, cast("Any", used), drawn.cells)
        return dict.fromkeys(names, math.nan) | measure_columns(view, names)


def measure_columns(view: SectionView, names: Collection[str]) -> dict[str, float]:
    """Measure some columns of ``sections.csv``; those that need cells are absent where the view has none."""
    row = Row()
    for family in FAMILIES:
        if any(column.name in names for column in family.COLUMNS):
            family.measure(row, view)
    return {name: number(row.values[name]) for name in names if name in row.values}


def number(value: object) -> float:
    """Return a number as a float, NaN for what is none."""
    return float(value) if isinstance(value, (int, float, np.integer, np.floating, np.bool_)) else math.nan


def slide_of(bundle: Bundle) -> tuple[Path, ...]:
    """Return the files that a bundle was made from."""
    opened = bundle.attributes["opened"]
    named = (opened["path"], *opened["paths"].values(), opened["roi"])
    return tuple(Path(file) for file in named if file)


def _cells(bundle: Bundle, grid: Grid) -> Cells | None:
    gate = bundle.attributes["gate"]
    if gate is None:
        return None
    known: dict[str, Any] = {key: math.nan if value is None else value for key, value in gate.items()}
    known |= {key: tuple(gate[key]) for key in ("controls", "notes")}
    nowhere = CellMasks(np.zeros((0, 4), np.int32), np.zeros(1, np.int64), np.zeros(0, np.bool_))
    fraction = positive_fraction(np.asarray(bundle.label(POSITIVE)), grid)
    return Cells(
        bundle.table("cells"), nowhere, fraction, Gate(**known), bundle.attributes["section"]["cells_method"]
    )
