"""Draw a section straight to disk: a whole slide in the memory of a few windows and its coarse grid."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.errors import CallError
from thymusimg.phantom.bodies import label_profiles
from thymusimg.phantom.generate import check_slide
from thymusimg.phantom.model import CHANNELS
from thymusimg.phantom.patch import Patch
from thymusimg.phantom.slab import Block, Profiles, Scene, draw_block, draw_scene
from thymusimg.phantom.spec import spec_from
from thymusimg.phantom.tiff_stream import TILE_PX, SlideFormat, SlideWriter
from thymusimg.phantom.truth import true_answer
from thymusimg.phantom.truth_bundle import write_answer
from thymusimg.progress import Progress, silent
from thymusimg.section.coarse import block_mean
from thymusimg.section.model import Window

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt
    import pandas as pd

    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane, Grid

BAND_PX = 512
"""Rows that are drawn and written at a time; a multiple of the file's tiles."""
WINDOW_PX = 2048
"""Columns of a window; no byte depends on either."""


@dataclass(frozen=True)
class Written:
    """What is left to know of a section that was written: its true values and its cells."""

    values: Mapping[str, float]
    cells: pd.DataFrame


@dataclass
class _Tally:
    """What the windows leave for the truth: coarse planes and the visible area of every profile."""

    clean: dict[str, FloatPlane]
    covered: npt.NDArray[np.float16]
    visible_px: npt.NDArray[np.int64]

    @classmethod
    def of(cls, scene: Scene) -> _Tally:
        shape = scene.grid.shape
        clean = {role: np.zeros(shape, np.float32) for role in scene.roles}
        return cls(clean, np.zeros(shape, np.float16), np.zeros(len(scene.human.number) + 1, np.int64))

    def add(self, block: Block, factor: int) -> None:
        y, x = block.window.y0 // factor, block.window.x0 // factor
        for plane, stain in zip(self.clean.values(), block.clean, strict=True):
            _place(plane, y, x, block_mean(stain, factor))
        _place(self.covered, y, x, block_mean((block.instances > 0).astype(np.uint8), factor))
        numbers, counts = np.unique(block.instances, return_counts=True)
        self.visible_px[numbers] += counts


def _place(plane: npt.NDArray[np.floating[Any]], y: int, x: int, part: FloatPlane) -> None:
    plane[y : y + part.shape[0], x : x + part.shape[1]] = part


def write_section(
    spec: PhantomSpec,
    seed: int,
    image: Path,
    *,
    bundle: Path | None = None,
    section_id: str = "phantom",
    pixel_size_um: float = 0.5,
    size_mm: float | None = None,
    pyramid: bool = False,
    threads: int = 1,
    band_px: int = BAND_PX,
    window_px: int = WINDOW_PX,
    progress: Progress = silent,
) -> Written:
    """Draw a section of the generator ``slab`` window by window, and write its image and its truth.

    Parameters
    ----------
    spec, seed, pixel_size_um, size_mm
        As for :func:`thymusimg.phantom.make_phantom`, which leaves the same pixels.
    image : path
        OME-TIFF: tiled, deflated, a BigTIFF where it must be.
    bundle : path, optional
        Where the truth goes; without it only the image is written.
    pyramid : bool
        Whether halved resolutions follow.
    threads : int
        Windows drawn at the same time.
    band_px, window_px : int
        Height and width of a window, multiples of 512 and 16; no byte depends on them.

    Raises
    ------
    SettingsError
        If a number is impossible.
    OutputError
        If the bundle cannot be written.
    """
    check_slide(seed, pixel_size_um, size_mm)
    spec_from(spec.model_dump())
    if band_px % TILE_PX or window_px % 16:
        raise CallError(f"phantom: windows of {band_px} × {window_px} px; height must be a multiple of {TILE_PX}, "
                        "width of 16")  # fmt: skip
    scene = draw_scene(spec, seed, pixel_size_um=pixel_size_um, size_mm=size_mm)
    tally = _Tally.of(scene)
    _write_pixels(scene, tally, image, pyramid, threads, band_px, window_px, progress)
    answer = true_answer(scene, tally.visible_px[1:], tally.covered, tally.clean)
    human, grid = scene.human, scene.grid
    del scene  # its planes make room for the measurement of the truth
    if bundle is not None:
        write_answer(answer, tally.clean, partial(paint_profiles, human, grid), bundle, section_id)
    return Written(answer["values"], answer["cells"])


def _write_pixels(
    scene: Scene,
    tally: _Tally,
    image: Path,
    pyramid: bool,
    threads: int,
    band_px: int,
    window_px: int,
    progress: Progress,
) -> None:
    height, width = scene.grid.slide_shape
    bits = scene.spec.camera.bit_depth
    names = [CHANNELS[r] for r in scene.roles]
    dtype = "uint8" if bits == 8 else "uint16"
    form = SlideFormat((len(names), height, width), dtype, scene.grid.slide_pixel_um, names, bits, pyramid)
    writer = SlideWriter(image, form)
    try:
        with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
            for y in range(0, height, band_px):
                windows = [
                    Window(y, min(y + band_px, height), x, min(x + window_px, width))
                    for x in range(0, width, window_px)
                ]
                band = np.empty((len(names), windows[0].shape[0], width), dtype)
                for block in pool.map(lambda w: draw_block(scene, w), windows):
                    band[:, :, block.window.x0 : block.window.x1] = block.pixels
                    tally.add(block, scene.grid.factor)
                writer.put(band)
                progress("drawing a synthetic section", min(1.0, (y + band_px) / height))
        writer.close()
    except BaseException:
        writer.discard()
        raise


def paint_profiles(human: Profiles, grid: Grid, window: Window) -> npt.NDArray[np.uint32]:
    """Return the label image of the human profiles in a window."""
    cells = human.near(Patch.slide(grid, window))
    return label_profiles(
        cells.y, cells.x, cells.radius, grid.slide_pixel_um, window.shape, numbers=cells.number,
        origin=(window.y0, window.x0),
    )  # fmt: skip
