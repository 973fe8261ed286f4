"""What may be asked of a figure of sections, and how it is read from text."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thymusimg.errors import CallError
from thymusimg.figures.palettes import NAMES, PALETTES
from thymusimg.study.faults import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTHS_MM = {"single": 85.0, "middle": 114.0, "double": 174.0}
"""Column widths as most journals have them, in mm."""
DPIS = (300, 600)
KINDS = ("merge", *NAMES, "outlines")
DRAWN = ("compartments", "junction", "cells")
LETTERS = ("upper", "lower", "none")
_WIDTH_LIMITS_MM = (40.0, 400.0)
_INSET_LIMITS_UM = (10.0, 2000.0)


@dataclass(frozen=True)
class Inset:
    """A square to magnify: its centre and side in µm, in the slide's own coordinates.

    ``section_id`` is "" where the figure shows one section only.
    """

    x_um: float
    y_um: float
    size_um: float
    section_id: str = ""


@dataclass(frozen=True)
class Look:
    """How a figure of sections looks.

    Attributes
    ----------
    panels : tuple of str
        Of :data:`KINDS`; empty: the merge and every stain alone in grey.
    outlines : tuple of str
        What the panel ``outlines`` draws: of :data:`DRAWN`.
    palette : str
        ``field`` or ``safe``.
    limits : mapping of str to (black, white)
        Display limits of stains, in background-subtracted grey levels; found for all panels together without it.
    auto_contrast : bool
        Limits of their own for every section. Brightness can then not be compared, and the caption says so.
    scale_bar_um, inset_bar_um : float or None
        Length of the scale bars in µm; a round one without it.
    width_mm : float
    dpi : int
        Of the pixels; text and outlines are vectors in SVG and PDF.
    letters : str
        ``upper``, ``lower`` or ``none``.
    """

    panels: tuple[str, ...] = ()
    outlines: tuple[str, ...] = DRAWN
    palette: str = "field"
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    auto_contrast: bool = False
    scale_bar_um: float | None = None
    inset_bar_um: float | None = None
    width_mm: float = WIDTHS_MM["double"]
    dpi: int = 300
    letters: str = "upper"

    def __post_init__(self) -> None:
        """Refuse what no figure can be.

        Raises
        ------
        CallError
        """
        for name in self.panels:
            _one_of(name, KINDS, "--panels")
        for name in self.outlines:
            _one_of(name, DRAWN, "--outline")
        _one_of(self.palette, tuple(PALETTES), "--palette")
        _one_of(self.letters, LETTERS, "--letters")
        if len(set(self.panels)) < len(self.panels):
            raise CallError(f"--panels {','.join(self.panels)}: a panel is named twice")
        check_paper(self.width_mm, self.dpi)
        for option, length in (("--scale-bar", self.scale_bar_um), ("--inset-bar", self.inset_bar_um)):
            if length is not None and not 0 < length < math.inf:
                raise CallError(f"{option} {length:g}: expected a length in µm above 0")
        if self.limits and self.auto_contrast:
            raise CallError("--limits and --auto-contrast contradict each other; give one of them")


def check_paper(width_mm: float, dpi: int) -> None:
    """Refuse a width or a resolution that no page has.

    Raises
    ------
    CallError
    """
    low, high = _WIDTH_LIMITS_MM
    if not low <= width_mm <= high:
        raise CallError(f"--width {width_mm:g}: expected {low:g} to {high:g} mm")
    if not 72 <= dpi <= 1200:
        raise CallError(f"--dpi {dpi}: expected 72 to 1200; journals ask for 300 or 600")


def parse_width(text: str) -> float:
    """Read ``single``, ``middle``, ``double`` or a number of mm.

    Raises
    ------
    CallError

    Examples
    --------
    >>> parse_width("single"), parse_width("120")
    (85.0, 120.0)
    """
    if text.casefold() in WIDTHS_MM:
        return WIDTHS_MM[text.casefold()]
    presets = ", ".join(f"{name} ({mm:g})" for name, mm in WIDTHS_MM.items())
    try:
        return float(text)
    except ValueError:
        raise CallError(f"--width {text}: expected {presets} or a number of mm") from None


def parse_inset(text: str) -> Inset:
    """Read ``X_UM,Y_UM,SIZE_UM`` or ``SECTION_ID:X_UM,Y_UM,SIZE_UM``.

    Raises
    ------
    CallError

    Examples
    --------
    >>> parse_inset("m1_s1:810,640.5,120")
    Inset(x_um=810.0, y_um=640.5, size_um=120.0, section_id='m1_s1')
    """
    section_id, _, place = text.rpartition(":")
    try:
        x, y, size = (float(part) for part in place.split(","))
    except ValueError:
        raise CallError(
            f"--inset {text}: expected X,Y,SIZE in µm (the centre of a square and its side), like 810,640,120; "
            "SECTION_ID:X,Y,SIZE where several sections are shown"
        ) from None
    low, high = _INSET_LIMITS_UM
    if not (math.isfinite(x) and math.isfinite(y) and low <= size <= high):
        raise CallError(f"--inset {text}: expected a side of {low:g} to {high:g} µm and a place in µm")
    return Inset(x, y, size, section_id)


def parse_limits(options: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Read ``ROLE=BLACK,WHITE`` options.

    Raises
    ------
    CallError

    Examples
    --------
    >>> parse_limits(["cd45=20,900"])
    {'cd45': (20.0, 900.0)}
    """
    found: dict[str, tuple[float, float]] = {}
    for option in options:
        role, _, ends = option.partition("=")
        role = role.strip().casefold()
        try:
            black, white = (float(part) for part in ends.split(","))
        except ValueError:
            black = white = math.nan
        if role not in NAMES or not (math.isfinite(black) and math.isfinite(white) and black < white):
            raise CallError(
                f"--limits {option}: expected ROLE=BLACK,WHITE with BLACK below WHITE, like cd45=20,900; roles: "
                f"{', '.join(NAMES)}"
            )
        if role in found:
            raise CallError(f"--limits {option}: the role {role} was given twice")
        found[role] = (black, white)
    return found


def _one_of(name: str, known: tuple[str, ...], option: str) -> None:
    if name not in known:
        hint = nearest(name, known)
        raise CallError(f"{option} {name}: expected {', '.join(known)}{hint}")
