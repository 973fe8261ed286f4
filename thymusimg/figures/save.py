"""A drawing on paper: its size, its letters, and the files that it becomes."""

from __future__ import annotations

import json
import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from thymusimg.batch.folder import writing
from thymusimg.errors import CallError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

FORMATS = ("svg", "pdf", "png", "tiff")
SMALLEST_PT = 6.0
"""Journals ask for letters of at least 5 to 7 pt at print size."""
_FONTS = ("Arial", "Helvetica", "Liberation Sans", "DejaVu Sans")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Drawing:
    """A figure before it is written.

    Attributes
    ----------
    figure : matplotlib Figure
        In its final size.
    dpi : int
    caption : str
        What is shown, n, display limits, scale and whether it is synthetic; ready to paste.
    record : mapping
        The same as data: limits, sections, pixel sizes, sources.
    name : str
        A name for its files.
    """

    figure: Figure
    dpi: int
    caption: str
    record: Mapping[str, Any] = field(default_factory=dict)
    name: str = "figure"

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height in mm."""
        width, height = self.figure.get_size_inches()
        return float(width) * 25.4, float(height) * 25.4


@contextmanager
def styled(seed: str) -> Iterator[None]:
    """Draw for print inside: letters stay letters, and the same figure gives the same bytes."""
    import matplotlib as mpl

    settings: Any = {
        "font.family": list(fonts()),
        "font.size": 7.0,
        "svg.fonttype": "none",
        "svg.hashsalt": f"thymusimg:{seed}",
        "pdf.fonttype": 42,
        "text.parse_math": False,
        "axes.linewidth": 0.6,
        "lines.linewidth": 0.8,
        "image.composite_image": False,
        "path.simplify": False,
    }
    with mpl.rc_context(settings):
        yield


@cache
def fonts() -> tuple[str, ...]:
    """Return the fonts that are installed of those that journals ask for; the last one always is."""
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return tuple(name for name in _FONTS if name in installed)


def printable(text: str) -> str:
    """Return a text without signs that no figure can hold (an SVG with them cannot be opened)."""
    return _UNPRINTABLE.sub("", text)


def save(drawing: Drawing, out: Path, formats: Sequence[str] = ("pdf", "png")) -> list[Path]:
    """Write a drawing as ``OUT.svg`` …, its caption as ``OUT.txt`` and its record as ``OUT.json``.

    The same drawing gives the same bytes: no dates, no random names.

    Parameters
    ----------
    drawing : Drawing
    out : Path
        A file whose name says the format, or a name to which the formats are appended.
    formats : sequence of str
        Of :data:`FORMATS`; left aside where the name says one.

    Returns
    -------
    list of Path
        The figure's files, the caption, the record.

    Raises
    ------
    CallError
        If a format is unknown.
    OutputError
        If a file cannot be written.
    """
    stem, wanted = split_name(out, formats)
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{stem.parent}: cannot be made ({error.strerror or error}). Choose another --out"
        ) from None
    files = []
    for name in wanted:
        files.append(stem.with_name(f"{stem.name}.{name}"))
        with writing(files[-1]) as partial:
            _write(drawing, partial, name)
    texts = {"txt": drawing.caption + "\n", "json": json.dumps(drawing.record, indent=1, ensure_ascii=False) + "\n"}
    for suffix, text in texts.items():
        files.append(stem.with_name(f"{stem.name}.{suffix}"))
        with writing(files[-1]) as partial:
            partial.write_text(text, encoding="utf-8")
    return files


def split_name(out: Path, formats: Sequence[str]) -> tuple[Path, tuple[str, ...]]:
    """Return the name without its format, and the formats to write.

    Raises
    ------
    CallError
    """
    known = {f".{name}": name for name in FORMATS} | {".tif": "tiff"}
    if out.suffix.lower() in known:
        return out.with_suffix(""), (known[out.suffix.lower()],)
    wanted = tuple(dict.fromkeys("tiff" if name.lower() == "tif" else name.lower() for name in formats))
    for name in wanted:
        if name not in FORMATS:
            raise CallError(f"--format {name}: expected {', '.join(FORMATS)}")
    if not wanted:
        raise CallError(f"--format: name at least one of {', '.join(FORMATS)}")
    return out, wanted


def _write(drawing: Drawing, file: Path, name: str) -> None:
    about = {
        "svg": {"Date": None, "Creator": "thymusimg", "Description": drawing.caption},
        "pdf": {"CreationDate": None, "Creator": "thymusimg", "Producer": "thymusimg", "Subject": drawing.caption},
        "png": {"Software": "thymusimg", "Description": drawing.caption},
        "tiff": None,
    }[name]
    options: dict[str, Any] = {"format": name, "dpi": drawing.dpi, "facecolor": "white"}
    if about is not None:
        options["metadata"] = about
    else:
        options["pil_kwargs"] = {"compression": "tiff_lzw", "description": drawing.caption, "software": "thymusimg"}
    with styled(drawing.name), warnings.catch_warnings():
        # Names of groups may hold letters that no font here has; the figure is drawn all the same.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        drawing.figure.savefig(file, **options)
    if name == "svg":
        # Whoever opens it may have other fonts than the machine that drew it: name those of the same widths.
        text = file.read_text(encoding="utf-8")
        families = ", ".join(f"'{font}'" for font in _FONTS) + ", sans-serif"
        text = re.sub(r"(font(?:-family)?: [^;\"]*?)'[^;\"]*'", lambda found: found[1] + families, text)
        file.write_text(text, encoding="utf-8")
