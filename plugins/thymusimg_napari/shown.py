"""Showing a section in a viewer: its stains, and its limits when they are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thymusimg_napari.layers import KEY, Purpose, add, find_all, record, stain_layers
from thymusimg_napari.overviews import fill_behind
from thymusimg_napari.pixels import Overviews

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.section.model import Section


def show_section(viewer: Any, section: Section, *, replacing: str = "") -> None:
    """Show the stains of a section; the layers of the one before, and the same slide's from File > Open, go."""
    remove_section(viewer, replacing)
    for layer in find_all(viewer.layers, Purpose.STAIN):
        if record(layer).get("path") == section.image.path:
            viewer.layers.remove(layer)
    overviews = Overviews(section.image)
    found = stain_layers(
        section.image, section_id=section.section_id, roles=section.roles, pixel_size_um=section.pixel_size_um,
        overviews=overviews.planes if overviews.factors else None,
    )  # fmt: skip
    for data in found:
        add(viewer, data)
    viewer.scale_bar.visible = True
    viewer.reset_view()
    if overviews.factors:
        fill_behind(viewer, overviews)


def remove_section(viewer: Any, section_id: str) -> None:
    """Take away every layer of a section."""
    if not section_id:
        return
    for layer in list(viewer.layers):
        if record(layer).get("section_id") == section_id:
            viewer.layers.remove(layer)


def show_limits(viewer: Any, section: Section, limits: Mapping[str, tuple[float, float]]) -> None:
    """Show every stain between the section's own limits."""
    for layer in find_all(viewer.layers, Purpose.STAIN, section.section_id):
        role = layer.metadata[KEY].get("role", "")
        if role in limits:
            low, high = limits[role]
            high = high if high > low else low + 1.0
            layer.contrast_limits_range = (min(0.0, low), max(high, section.image.max_value))
            layer.contrast_limits = (low, high)
