"""What every picture of a section shares: the part of the slide it shows, its scale bar, legend and encoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from thymusimg.section.model import Grid, Mask, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

RGB = npt.NDArray[np.uint8]
"""(H, W, 3) uint8 picture, red first."""
Colour = tuple[int, int, int]
"""Red, green, blue, 0-255."""

LONGEST_PX = 1600
SHORTEST_PX = 900
"""Small sections are enlarged so that their longest side has this many pixels: outlines need room."""
FOOTER_PX = 46
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_UNICODE = int(cv2.__version__.split(".")[0]) >= 5
_INK: Colour = (232, 232, 232)


@dataclass(frozen=True)
class View:
    """The part of a coarse grid that a picture shows, and how much it is enlarged.

    Attributes
    ----------
    grid : Grid
    window : Window
        Rows and columns of the coarse grid.
    scale : float
        Picture pixels a coarse pixel.
    """

    grid: Grid
    window: Window
    scale: float

    @classmethod
    def of(cls, grid: Grid, tissue: Mask | None = None, margin_um: float = 60.0) -> View:
        """Return the view of the tissue with a margin; of the whole grid where there is no tissue.

        Parameters
        ----------
        grid : Grid
        tissue : (Y, X) bool, optional
            Tissue on ``grid``.
        margin_um : float
            Background shown around the tissue, µm.
        """
        whole = Window(0, grid.shape[0], 0, grid.shape[1])
        window = whole
        if tissue is not None and tissue.any():
            rows, columns = np.flatnonzero(tissue.any(axis=1)), np.flatnonzero(tissue.any(axis=0))
            found = Window(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)
            window = found.grown(round(margin_um / grid.pixel_um), grid.shape)
        longest = max(window.shape)
        return cls(grid, window, min(max(longest, SHORTEST_PX), LONGEST_PX) / longest)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the picture without its footer, in pixels."""
        height, width = self.window.shape
        return max(1, round(height * self.scale)), max(1, round(width * self.scale))

    @property
    def pixel_um(self) -> float:
        """Side of a picture pixel in µm."""
        return self.grid.pixel_um / self.scale

    def show(self, plane: npt.NDArray[np.generic], *, nearest: bool = False) -> npt.NDArray[np.generic]:
        """Cut the view out of a (Y, X) plane of the grid and bring it to the picture's size."""
        part = np.ascontiguousarray(plane[self.window.slices])
        how = cv2.INTER_NEAREST if nearest else cv2.INTER_AREA if self.scale < 1 else cv2.INTER_LINEAR
        shown: npt.NDArray[np.generic] = cv2.resize(part, self.shape[::-1], interpolation=how)
        return shown

    def from_index(self, index: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Turn coarse (y, x) indices into picture (y, x) positions; both count pixel centres."""
        origin = np.array([self.window.y0, self.window.x0])
        places: npt.NDArray[np.float64] = (np.asarray(index, dtype=np.float64) - origin + 0.5) * self.scale - 0.5
        return places

    def from_um(self, um: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Turn (y, x) in µm into picture (y, x) positions."""
        return self.from_index(self.grid.to_index(um))


def scale_bar_um(width_um: float) -> float:
    """Return a round length (1, 2 or 5 times a power of ten) of at most a quarter of ``width_um``.

    Examples
    --------
    >>> scale_bar_um(3100.0)
    500.0
    """
    target = max(width_um / 4, 1e-9)
    power = 10.0 ** np.floor(np.log10(target))
    return float(max(step * power for step in (1, 2, 5) if step * power <= target * (1 + 1e-9)))


def length_words(length_um: float) -> str:
    """Return a length as people write it on a scale bar: ``200 µm``, ``2 mm``."""
    return f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} µm"


def draw_lines(
    picture: RGB, lines: Sequence[npt.NDArray[np.float64]], colour: Colour, width: int, *, closed: bool
) -> None:
    """Draw (N, 2) lines of picture (y, x) positions in place, antialiased, at a sixteenth of a pixel."""
    points = [np.round(line[:, ::-1] * 16).astype(np.int32).reshape(-1, 1, 2) for line in lines if len(line)]
    if points:
        cv2.polylines(picture, points, closed, colour, width, cv2.LINE_AA, 4)


def write_text(picture: RGB, text: str, at: tuple[int, int], *, colour: Colour = _INK, size: float = 0.5) -> int:
    """Write ``text`` in place with its baseline's left end at ``(x, y)``; return the x where it ends.

    OpenCV 4 has ASCII only: there µ is a u with a stem added, and other signs become ``?``.
    """
    x, y = at
    if _UNICODE:
        cv2.putText(picture, text, (x, y), _FONT, size, colour, 1, cv2.LINE_AA)
        return x + text_width(text, size)
    for part in text.replace("µ", "\0µ\0").split("\0"):
        plain = "u" if part == "µ" else part.encode("ascii", "replace").decode()
        if not plain:
            continue
        cv2.putText(picture, plain, (x, y), _FONT, size, colour, 1, cv2.LINE_AA)
        if part == "µ":
            left = x + round(3.6 * size)
            cv2.line(picture, (left, y - round(9 * size)), (left, y + round(7 * size)), colour, 1, cv2.LINE_AA)
        x += text_width(plain, size)
    return x


def text_width(text: str, size: float = 0.5) -> int:
    """Return how many pixels :func:`write_text` needs for ``text``."""
    plain = text if _UNICODE else text.replace("µ", "u").encode("ascii", "replace").decode()
    (width, _), _ = cv2.getTextSize(plain, _FONT, size, 1)
    return int(width)


def with_footer(picture: RGB, pixel_um: float, legend: Sequence[tuple[str, Colour]]) -> RGB:
    """Return the picture with a dark strip below it: scale bar on the left, legend behind it.

    Nothing is drawn over the tissue. The legend is broken into as many rows as it needs, and grows with the
    picture, which is seen smaller the larger it is.
    """
    width = picture.shape[1]
    unit = min(max(max(picture.shape[:2]) / 1000, 1.0), 1.6)
    size = 0.5 * unit
    length_um = scale_bar_um(width * pixel_um)
    bar_px = max(1, round(length_um / pixel_um))
    words = length_words(length_um)
    margin, line, box = round(14 * unit), round(24 * unit), round(12 * unit)
    left = margin + bar_px + round(10 * unit) + text_width(words, size) + round(26 * unit)
    start = left if left < 0.6 * width else margin
    rows: list[list[tuple[str, Colour, int]]] = [[]]
    x = left
    for name, colour in legend:
        need = box + round(8 * unit) + text_width(name, size) + round(20 * unit)
        if x + need > width and x > start:
            rows.append([])
            x = start
        rows[-1].append((name, colour, x))
        x += need
    strip = np.full((round(FOOTER_PX * unit) + line * (len(rows) - 1), width, 3), 14, np.uint8)
    base = round(28 * unit)
    cv2.rectangle(strip, (margin, base - round(8 * unit)), (margin + bar_px - 1, base - round(4 * unit)), _INK, -1)
    write_text(strip, words, (margin + bar_px + round(10 * unit), base), size=size)
    for i, row in enumerate(rows):
        for name, colour, x in row:
            cv2.rectangle(strip, (x, base - box + line * i), (x + box, base + line * i), colour, -1)
            write_text(strip, name, (x + box + round(8 * unit), base + line * i), size=size)
    return np.vstack([picture, strip])


def to_jpeg(picture: RGB, quality: int = 85) -> bytes:
    """Encode an (H, W, 3) uint8 RGB picture as JPEG.

    Parameters
    ----------
    picture : (H, W, 3) uint8
    quality : int
        1-100.
    """
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), settings)
    return bytes(encoded.tobytes())
