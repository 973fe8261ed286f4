"""Figures that stand in the page: they follow its colours, light or dark, and carry their own words."""

from __future__ import annotations

import io
import re
import warnings
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

INK = "#010203"
PAPER = "#010204"
"""Stand-ins that become ``currentColor`` and the page's background."""


def figure_style(name: str) -> dict[str, Any]:
    """Return matplotlib's settings for a figure that follows the page's colours; ``name`` seeds its ids."""
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": f"thymusimg:{name}",
        "text.parse_math": False,
        "font.size": 9.5,
        **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    }


def to_svg(figure: Figure, tips: Sequence[str], targets: Sequence[str] = ()) -> str:
    """Return a figure as SVG that stands in the page.

    Parameters
    ----------
    figure : Figure
    tips : sequence of str
        Titles of the elements whose gid is ``tip0``, ``tip1`` …
    targets : sequence of str, optional
        For every tip the place in the page that a click on it leads to, "" for none.
    """
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # The page's fonts draw the text, so it does not matter which glyphs matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)

    def titled(found: re.Match[str]) -> str:
        place = int(found[1])
        target = targets[place] if place < len(targets) else ""
        leads = f' data-href="{escape(target)}"' if target else ""
        return f"<g{leads}><title>{escape(tips[place])}</title>"

    svg = re.sub(r'<g id="tip(\d+)">', titled, svg)
    svg = re.sub(r'(<g) id="[A-Za-z0-9]+(?:\.[a-z]+)?_\d+"', r"\1", svg)
    svg = re.sub(r"font: ([0-9.]+px) [^;\"]*", r"font-size: \1", svg)
    return svg.replace(INK, "currentColor").replace(PAPER, "var(--paper)")


def describe_svg(svg: str, alt: str) -> str:
    """Give a figure its words, for those who cannot see it."""
    head, _, body = svg.partition(">")
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{escape(alt)}">{body}'
