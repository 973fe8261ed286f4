"""One file a stain: several images of one section as the channels of one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from thymusimg.section.model import Image, Level, Window

SAME_SIZE = 1e-3
"""Pixel sizes may differ by this share: the rounding of different writers."""


@dataclass(frozen=True, eq=False)
class CompositeImage:
    """Several one-channel images as one; fulfils :class:`thymusimg.section.model.Image`."""

    path: str
    format: str
    channel_names: tuple[str, ...]
    parts: tuple[Image, ...]
    levels: tuple[Level, ...]
    pixel_size_um: tuple[float, float] | None
    identity: str = ""

    @property
    def emission_nm(self) -> tuple[float | None, ...]:
        """Emission wavelength of every stain in nm."""
        return tuple(part.emission_nm[0] for part in self.parts)

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Smallest pixel type that holds every stain."""
        return np.result_type(*(part.dtype for part in self.parts))

    @cached_property
    def max_value(self) -> float:
        """Value of a saturated pixel; the same for every stain, as their types are."""
        return max(part.max_value for part in self.parts)

    @property
    def tile_shape(self) -> tuple[int, int]:
        """Block of the first file."""
        return self.parts[0].tile_shape

    @property
    def semi_quantitative(self) -> bool:
        """True if any stain is a display export."""
        return any(part.semi_quantitative for part in self.parts)

    @property
    def lossy(self) -> str:
        """Lossy compressions of the files."""
        return ", ".join(dict.fromkeys(part.lossy for part in self.parts if part.lossy))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd, file by file."""
        return tuple(
            f"{name}: {warning}"
            for name, part in zip(self.channel_names, self.parts, strict=True)
            for warning in part.warnings
        )

    def read(self, level: int, channel: int, window: Window) -> npt.NDArray[np.generic]:
        """Read a window of one stain."""
        return self.parts[channel].read(level, 0, window).astype(self.dtype, copy=False)

    def close(self) -> None:
        """Release every file."""
        for part in self.parts:
            part.close()


def compose(images: Mapping[str, Image]) -> CompositeImage:
    """Join one-channel images whose sizes agree.

    Raises
    ------
    UnreadableError
        If an image has several channels, or two differ in size, pixel size or pixel type; both are named.
    """
    if not images:
        raise UnreadableError("no stain was given a file.")
    names, parts = tuple(images), tuple(images.values())
    for name, part in images.items():
        if len(part.channel_names) != 1:
            raise UnreadableError(
                f"{part.path}: holds {len(part.channel_names)} channels, but one file a stain ('{name}') has one. "
                "Export single channels as grey, or give the file as 'path' and map its channels."
            )
    for part in parts[1:]:
        _agree(parts[0], part)
    shapes = [{level.shape for level in part.levels} for part in parts]
    common = set.intersection(*shapes)
    levels = tuple(level for level in parts[0].levels if level.shape in common)
    same_pyramid = all(
        [level.shape for level in part.levels] == [level.shape for level in levels] for part in parts
    )
    return CompositeImage(
        path=", ".join(part.path for part in parts),
        format=" + ".join(dict.fromkeys(part.format for part in parts)) + " (one file a stain)",
        channel_names=names,
        parts=parts,
        levels=levels if same_pyramid else levels[:1],
        pixel_size_um=next((part.pixel_size_um for part in parts if part.pixel_size_um), None),
        identity="|".join(str(getattr(part, "identity", "")) for part in parts),
    )


def _agree(first: Image, other: Image) -> None:
    a, b = first.levels[0].shape, other.levels[0].shape
    if a != b:
        raise UnreadableError(
            f"The stains do not cover the same pixels: {first.path} has {a[1]} × {a[0]} px, {other.path} has "
            f"{b[1]} × {b[0]} px. Export them from one registered image."
        )
    if first.dtype != other.dtype:
        raise UnreadableError(
            f"The stains have different pixel types: {first.path} has {first.dtype}, {other.path} "
            f"has {other.dtype}. "
            "Export them alike."
        )
    sizes = first.pixel_size_um, other.pixel_size_um
    if sizes[0] and sizes[1]:
        pairs = zip(sizes[0], sizes[1], strict=True)
        if any(abs(x - y) > SAME_SIZE * max(x, y) for x, y in pairs):
            raise UnreadableError(
                f"The stains have different pixel sizes: {first.path} {sizes[0][1]:g} µm, {other.path} "
                f"{sizes[1][1]:g} µm. Export them from one registered image."
            )
