"""Overviews of slides without a pyramid: shown at once, filled in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thymusimg_napari.layers import Purpose, find_all, record
from thymusimg_napari.pixels import Overviews, display_limits

if TYPE_CHECKING:
    import numpy.typing as npt

    from thymusimg.progress import Progress
    from thymusimg.section.model import Image


def overviews_for(image: Image) -> list[list[npt.NDArray[Any]]] | None:
    """Return overviews of a slide that needs some, else None.

    With a napari window they fill in the background; in a script they are whole on return.
    """
    overviews = Overviews(image)
    if not overviews.factors:
        return None
    viewer = window_of_napari()
    if viewer is None:
        for band in overviews.bands():
            overviews.fill(band)
    else:
        fill_behind(viewer, overviews)
    return overviews.planes


def fill_behind(viewer: Any, overviews: Overviews) -> None:
    """Fill overviews in a thread, and show every band as it comes."""
    from thymusimg_napari.jobs import start

    def work(progress: Progress) -> None:
        bands = overviews.bands()
        for done, band in enumerate(bands):
            progress("overview", done / len(bands))
            overviews.fill(band)

    start(
        work, title=f"Overview of {overviews.image.path}", done=lambda _: refresh(viewer, overviews),
        stepped=lambda _stage, _share: refresh(viewer, overviews),
    )  # fmt: skip


def refresh(viewer: Any, overviews: Overviews) -> None:
    """Show what is there, with limits from it."""
    for layer in find_all(viewer.layers, Purpose.STAIN):
        if record(layer).get("path") == overviews.image.path and "channel" in record(layer):
            low, high = display_limits(overviews.planes[record(layer)["channel"]])
            layer.contrast_limits_range = (min(low, 0.0), max(high, overviews.image.max_value))
            layer.contrast_limits = (low, high)
            layer.refresh()


def window_of_napari() -> Any | None:
    """Return the viewer that has a window, or None in a script without one."""
    from napari import current_viewer

    viewer = current_viewer()
    return viewer if viewer is not None and hasattr(viewer, "window") else None
