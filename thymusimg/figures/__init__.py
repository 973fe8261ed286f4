"""Figures for papers from a finished run: sections at print size, groups as vector panels, and their captions.

``section_figure`` and ``representative_figure`` draw stains with shared display limits and true scale bars,
``group_figure`` one row a column; each returns a :class:`Drawing`, which :func:`save` writes as SVG, PDF, PNG or
TIFF beside a caption ready to paste.
"""

from thymusimg.figures.groups import group_figure
from thymusimg.figures.representative import representative_figure
from thymusimg.figures.request import WIDTHS_MM, Inset, Look, parse_inset, parse_limits
from thymusimg.figures.save import FORMATS, Drawing, save
from thymusimg.figures.sections import section_figure

__all__ = [
    "FORMATS",
    "WIDTHS_MM",
    "Drawing",
    "Inset",
    "Look",
    "group_figure",
    "parse_inset",
    "parse_limits",
    "representative_figure",
    "save",
    "section_figure",
]
