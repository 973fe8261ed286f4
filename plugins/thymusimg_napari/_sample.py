"""File > Open Sample: a small synthetic section of every preset. They show the software, not biology."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

from thymusimg import __version__
from thymusimg.phantom import make_phantom, write_ome_tiff
from thymusimg.phantom.presets import find_preset
from thymusimg_napari._reader import read

if TYPE_CHECKING:
    from thymusimg_napari.layers import LayerData

SEED = 7
AREA_MM2 = 0.4
PIXEL_UM = 0.65


def sample_slide(preset: str) -> Path:
    """Return the slide of a preset, drawn at the first call and kept in the user's cache."""
    folder = Path(user_cache_path("thymusimg")) / "samples" / __version__
    path = folder / f"{preset}.ome.tif"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        spec = find_preset(preset).draw(SEED)
        small = spec.model_copy(update={"area_mm2": min(spec.area_mm2, AREA_MM2)})
        partial = folder / f".{preset}.partial.ome.tif"
        write_ome_tiff(make_phantom(small, SEED, pixel_size_um=PIXEL_UM), partial, pyramid=True)
        partial.replace(path)
    return path


def untreated_nsg() -> list[LayerData]:
    """Show untreated NSG: small, mixed keratins, cysts, no human cells."""
    return read(str(sample_slide("untreated_nsg")))


def cd34_10wk() -> list[LayerData]:
    """Show ten weeks after CD34+ cells: half-ordered, patchy human cells."""
    return read(str(sample_slide("cd34_10wk")))


def progenitor_10wk() -> list[LayerData]:
    """Show ten weeks after T progenitors: ordered, dense human cells."""
    return read(str(sample_slide("progenitor_10wk")))


def wild_type() -> list[LayerData]:
    """Show a wild-type mouse: ordered, no human cells."""
    return read(str(sample_slide("wild_type")))


def null() -> list[LayerData]:
    """Show no difference: as after CD34+ cells."""
    return read(str(sample_slide("null")))


def reversed_groups() -> list[LayerData]:
    """Show the groups the other way round."""
    return read(str(sample_slide("reversed")))


def no_cells() -> list[LayerData]:
    """Show the architecture after T progenitors without any human cell."""
    return read(str(sample_slide("no_cells")))


def no_architecture() -> list[LayerData]:
    """Show the human cells after T progenitors without compartments."""
    return read(str(sample_slide("no_architecture")))
