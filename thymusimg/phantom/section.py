"""A synthetic section as the engine sees it, without a file in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.section.model import Level, Section, Subject, Window

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.phantom.model import Phantom


class PhantomImage:
    """The pixels of a phantom behind the reader protocol; one level, no file."""

    format = "phantom"
    semi_quantitative = False
    lossy = ""
    warnings: tuple[str, ...] = ()

    def __init__(self, phantom: Phantom) -> None:
        self._pixels = phantom.pixels
        self.path = f"phantom seed {phantom.seed}"
        self.channel_names = phantom.channel_names
        self.emission_nm: tuple[float | None, ...] = (None,) * len(phantom.channel_names)
        self.dtype: np.dtype[np.generic] = np.dtype(phantom.pixels.dtype.type)
        bits = 12 if phantom.spec.camera.bit_depth == 12 else self.dtype.itemsize * 8
        self.max_value = float(2**bits - 1)
        height, width = phantom.pixels.shape[1:]
        self.levels = (Level((height, width), 1.0),)
        self.tile_shape = (512, 512)
        self.pixel_size_um: tuple[float, float] | None = (phantom.pixel_size_um, phantom.pixel_size_um)

    def read(self, level: int, channel: int, window: Window) -> npt.NDArray[np.generic]:
        """Read a window of one channel; there is level 0 only."""
        if level != 0:
            raise IndexError(f"a phantom in memory has level 0 only, asked for {level}")
        return self._pixels[(channel, *window.slices)].copy()

    def close(self) -> None:
        """Nothing to release."""


def as_section(phantom: Phantom, section_id: str = "phantom", group: str = "", animal: str = "") -> Section:
    """Return a phantom as a :class:`Section` that every stage accepts."""
    return Section(
        Subject(section_id, animal=animal, group=group),
        PhantomImage(phantom),
        dict(phantom.roles),
        {role: phantom.channel_names[index] for role, index in phantom.roles.items()},
        phantom.pixel_size_um,
    )
