"""A section's result as the content of its bundle."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from thymusimg.measurements.population.profile import profile_by_distance
from thymusimg.pipeline import models_of
from thymusimg.provenance import now, versions
from thymusimg.report.layers import draw_layers
from thymusimg.report.overlays import draw_section, to_jpeg
from thymusimg.section.store import BundleContent, LabelImage, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from thymusimg.compartments.model import Tissue
    from thymusimg.pipeline import Counted, SectionResult
    from thymusimg.section.model import FloatPlane, Grid

FOUND = "found"
"""Label image of what the compartments were drawn in: 1 tissue, 2 artefact, 3 both."""
POSITIVE = "cd45_positive"
"""Label image of the full-resolution pixels at or above the CD45 gate in every coarse pixel."""


def draw_pictures(counted: Counted) -> dict[str, bytes]:
    """Draw what the report shows of a section: JPEG files by name, and the layers that its viewer switches."""
    prepared = counted.prepared
    drawn = (prepared.section, prepared.planes, prepared.compartments, counted.cells)
    pictures = draw_section(*drawn)
    return {f"{name}.jpg": to_jpeg(picture) for name, picture in pictures.items()} | draw_layers(*drawn)


def bundle_content(
    result: SectionResult,
    pictures: Mapping[str, bytes],
    *,
    key: str,
    inputs: Mapping[str, str],
    opened: Mapping[str, Any] | None = None,
) -> BundleContent:
    """Return everything of a result that its bundle keeps.

    Parameters
    ----------
    pictures : mapping of str to bytes
        From :func:`draw_pictures`.
    key : str
        Hash under which the result may be reused.
    inputs : mapping of str to str
        SHA-256 of every file that was read, by path.
    opened : mapping, optional
        How the slide was opened, to open it again.
    """
    section, compartments = result.section, result.compartments
    grid = compartments.grid
    labels = {
        "tissue": LabelImage.on_grid(compartments.tissue.astype(np.uint8), grid),
        "compartments": LabelImage.on_grid(compartments.labels, grid),
        # the share of certainty in percent: labels hold integers only
        "confidence": LabelImage.on_grid(np.rint(compartments.confidence * 100).astype(np.uint8), grid),
        FOUND: LabelImage.on_grid(_found(result.prepared.tissue), grid),
    }
    tables = {
        "compartments": result.measured.compartments,
        "quality": result.quality,
        "curves": result.measured.curves,
        "junction": _junction(result),
    }
    if result.cells is not None:
        labels["cells"] = LabelImage.on_pixels(section, result.cells.masks.paint)
        labels[POSITIVE] = LabelImage.on_grid(positive_pixels(result.cells.positive_fraction, grid), grid)
        tables["cells"] = result.cells.table
        tables["profile"] = profile_by_distance(compartments, result.cells)
    return BundleContent(
        grid=grid,
        planes=result.prepared.planes,
        channel_names=section.markers,
        limits=_limits(result),
        labels=labels,
        tables=tables,
        pictures=pictures,
        attributes=_attributes(result, key, inputs) | {"opened": plain(dict(opened or {}))},
    )


def _found(tissue: Tissue) -> npt.NDArray[np.uint8]:
    return tissue.mask.astype(np.uint8) + np.uint8(2) * tissue.artefact.astype(np.uint8)


def positive_pixels(fraction: FloatPlane, grid: Grid) -> npt.NDArray[np.uint16]:
    """Return how many full-resolution pixels of every coarse pixel are at or above the CD45 gate.

    :func:`positive_fraction` undoes it exactly.
    """
    pixels: npt.NDArray[np.uint16] = np.rint(fraction * block_sizes(grid)).astype(np.uint16)
    return pixels


def positive_fraction(pixels: npt.NDArray[np.uint16], grid: Grid) -> FloatPlane:
    """Return the share of every coarse pixel at or above the CD45 gate, from :func:`positive_pixels`."""
    fraction: FloatPlane = pixels.astype(np.float32)
    fraction /= block_sizes(grid)
    return fraction


def block_sizes(grid: Grid) -> FloatPlane:
    """Return the number of full-resolution pixels in every coarse pixel; the last ones may be cut by the edge."""
    rows, columns = (
        np.clip(size - np.arange(n) * grid.factor, 0, grid.factor)
        for size, n in zip(grid.extent, grid.shape, strict=True)
    )
    return np.multiply.outer(rows, columns).astype(np.float32)


def _limits(result: SectionResult) -> dict[str, tuple[float, float]]:
    offset = result.prepared.correction.offset
    return {
        role: (low - offset.get(role, 0.0), high - offset.get(role, 0.0))
        for role, (low, high) in result.prepared.survey.limits.items()
    }


def _junction(result: SectionResult) -> pd.DataFrame:
    lines = result.compartments.junction_um
    points = np.concatenate([np.zeros((0, 2)), *lines])
    piece = np.repeat(np.arange(len(lines), dtype=np.int64), [len(line) for line in lines])
    return pd.DataFrame({"piece": piece, "y_um": points[:, 0], "x_um": points[:, 1]})


def _attributes(result: SectionResult, key: str, inputs: Mapping[str, str]) -> dict[str, Any]:
    section, compartments = result.section, result.compartments
    gate = None if result.cells is None else asdict(result.cells.gate)
    attributes: dict[str, Any] = plain(
        {
            "key": key,
            "created": now(),
            "inputs": dict(inputs),
            "versions": versions(),
            "models": models_of(result.prepared.settings),
            "settings": result.prepared.settings.model_dump(mode="json"),
            "section": result.measured.section,
            "reasons": dict(result.measured.reasons),
            "subject": asdict(section.subject),
            "slide": {
                "path": section.image.path,
                "format": section.image.format,
                "shape": list(section.slide_shape),
                "frame": None if section.frame is None else list(section.frame),
                "pixel_size_um": section.pixel_size_um,
                "markers": dict(section.markers),
                "semi_quantitative": section.image.semi_quantitative,
                "lossy": section.image.lossy,
                "warnings": list(section.warnings),
            },
            "correction": list(result.prepared.correction.notes),
            "tissue_notes": list(result.prepared.tissue.notes),
            "compartments": {
                "method": compartments.method,
                "cuts": dict(compartments.cuts),
                "reasons": dict(compartments.reasons),
            },
            "gate": gate,
            "cells_reason": result.cells_reason,
            "seconds": {k: round(v, 3) for k, v in result.seconds.items()},
        }
    )
    return attributes
