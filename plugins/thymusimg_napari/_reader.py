"""File > Open: slides of every format of the engine, and result bundles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from thymusimg.channels.roles import propose_roles
from thymusimg.errors import ThymusimgError
from thymusimg.section.readers import open_image
from thymusimg.section.store import Bundle
from thymusimg_napari.bundle_layers import bundle_layers
from thymusimg_napari.layers import stain_layers
from thymusimg_napari.overviews import overviews_for, window_of_napari

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thymusimg_napari.layers import LayerData


def get_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]] | None:
    """Return the reader of a path, or None where it is none of ours; a stack of files is none."""
    if not isinstance(path, str):
        return None
    place = Path(path)
    if place.is_dir() and not any((place / name).exists() for name in ("zarr.json", ".zattrs", ".zgroup")):
        return None
    return read


def read(path: str) -> list[LayerData]:
    """Return the layers of a slide or of a result bundle.

    Raises
    ------
    ThymusimgError
        In plain words, if the file cannot be opened: damaged, several scenes, a stack without a projection …
    """
    viewer = window_of_napari()
    if viewer is not None:
        from thymusimg_napari.line_widths import keep_lines_visible

        keep_lines_visible(viewer)
    if is_bundle(Path(path)):
        return bundle_layers(Bundle.open(Path(path)))
    image = open_image(path)
    try:
        proposal = propose_roles(image)
        return stain_layers(image, roles=proposal.roles, overviews=overviews_for(image))
    except ThymusimgError:
        image.close()
        raise


def is_bundle(path: Path) -> bool:
    """Return whether a folder is a result of thymusimg."""
    if not (path / "zarr.json").is_file() or not (path / "labels").is_dir():
        return False
    try:
        Bundle.open(path)
    except ThymusimgError:
        return False
    return True
