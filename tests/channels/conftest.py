"""A section in memory and its survey, small enough to check by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest

from thymusimg.section.model import Level, Mask, Section, Subject, Window
from thymusimg.section.survey import Survey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass
class ArrayImage:
    """Channels in memory as an image."""

    pixels: np.ndarray
    channel_names: tuple[str, ...]
    pixel_size_um: tuple[float, float] | None
    max_value: float
    semi_quantitative: bool = False
    lossy: str = ""
    path: str = "array.tif"
    format: str = "TIFF"
    tile_shape: tuple[int, int] = (256, 256)
    warnings: tuple[str, ...] = ()

    @property
    def emission_nm(self) -> tuple[float | None, ...]:
        return (None,) * len(self.channel_names)

    @property
    def dtype(self) -> np.dtype:
        return self.pixels.dtype

    @property
    def levels(self) -> tuple[Level, ...]:
        return (Level(self.pixels.shape[1:], 1.0),)

    def read(self, level: int, channel: int, window: Window) -> np.ndarray:
        return self.pixels[channel][window.slices]

    def close(self) -> None: ...


def _section(stains: Mapping[str, np.ndarray], pixel_um: float = 2.0, **options: object) -> Section:
    subject = options.pop("subject", Subject("s1"))
    dtype = next(iter(stains.values())).dtype
    top = float(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1e9
    image = ArrayImage(np.stack(list(stains.values())), tuple(stains), (pixel_um, pixel_um), top, **options)
    roles = {role: i for i, role in enumerate(stains)}
    return Section(subject, image, roles, {role: role.upper() for role in stains}, pixel_um)


def _survey(section: Section, valid: Mask | None = None, tile_px: int = 128) -> Survey:
    grid, factor = section.grid, section.grid.factor
    planes, rows = {}, []
    for role, channel in section.roles.items():
        full = section.image.pixels[channel].astype(np.float32)
        planes[role] = cv2.resize(full, grid.shape[::-1], interpolation=cv2.INTER_AREA) if factor > 1 else full
        for y0 in range(0, full.shape[0], tile_px):
            for x0 in range(0, full.shape[1], tile_px):
                tile = full[y0 : y0 + tile_px, x0 : x0 + tile_px]
                laplacian = cv2.Laplacian(tile, cv2.CV_32F, ksize=1)
                noise = 1.4826 * np.median(np.abs(laplacian - np.median(laplacian))) / np.sqrt(20)
                rows.append(
                    {
                        "role": role, "y0": y0, "x0": x0, "y1": y0 + tile.shape[0], "x1": x0 + tile.shape[1],
                        "mean": tile.mean(), "sd": tile.std(), "maximum": tile.max(),
                        "saturated_fraction": np.mean(tile >= section.image.max_value),
                        "laplacian_variance": laplacian.var(), "noise_sd": noise,
                    }
                )  # fmt: skip
    valid = np.ones(grid.shape, dtype=bool) if valid is None else valid
    return Survey(grid, planes, valid, pd.DataFrame(rows), dict.fromkeys(planes, (0.0, 1.0)))


@dataclass(frozen=True)
class Lobe:
    """A round lobe with a medulla that K14 fills and K8 spares half; background 100."""

    tissue: Mask
    stains: dict[str, np.ndarray]


def _lobe(size: int = 768, seed: int = 0, light: np.ndarray | None = None, cd45: bool = True) -> Lobe:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - size / 2
    tissue = np.hypot(y, x) < 0.46 * size
    medulla = np.hypot(y + 0.1 * size, x) < 0.2 * size
    strands = {role: cv2.GaussianBlur(rng.standard_normal((size, size)), (0, 0), 1.2) > 0.15 for role in "abc"}
    clean = {
        "k14": 900.0 * (strands["a"] & medulla) + 60,
        "k8": 700.0 * strands["b"] * np.where(medulla, 0.5, 1) + 60,
    }
    if cd45:
        clean["cd45"] = 800.0 * (strands["c"] & ~medulla) + 60
    light = np.ones((size, size)) if light is None else light
    stains = {
        role: rng.poisson(100 + np.where(tissue, cv2.GaussianBlur(plane, (0, 0), 0.7), 0) * light).astype(np.uint16)
        for role, plane in clean.items()
    }
    return Lobe(tissue, stains)


@pytest.fixture
def make_section() -> Callable[..., Section]:
    return _section


@pytest.fixture
def make_survey() -> Callable[..., Survey]:
    return _survey


@pytest.fixture(scope="session")
def make_lobe() -> Callable[..., Lobe]:
    return _lobe
