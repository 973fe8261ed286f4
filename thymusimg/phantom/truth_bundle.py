"""The truth of a synthetic section in the layout of a result, so that one reader reads both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.phantom.model import CHANNELS
from thymusimg.section.coarse import block_mean
from thymusimg.section.store import BundleContent, LabelImage, plain, write_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from thymusimg.phantom.model import Phantom
    from thymusimg.section.model import FloatPlane, Window


def write_truth(phantom: Phantom, path: Path, section_id: str) -> None:
    """Write the truth of a section in memory; see :func:`write_answer`.

    Raises
    ------
    OutputError
        If the bundle cannot be written.
    """
    truth = phantom.truth
    planes = zip(phantom.roles, truth.clean, strict=True)
    clean = {role: block_mean(plane, truth.grid.factor) for role, plane in planes}
    names = ("grid", "labels", "tissue", "artefact", "cells", "psf", "mixing", "parameters", "values")
    answer = {name: getattr(truth, name) for name in names}
    write_answer(answer, clean, lambda w: truth.instances[w.slices], path, section_id)


def write_answer(
    answer: Mapping[str, Any],
    clean: Mapping[str, FloatPlane],
    paint: Callable[[Window], npt.NDArray[np.uint32]],
    path: Path,
    section_id: str,
) -> None:
    """Write a section's truth as an OME-Zarr 0.5 bundle.

    ``labels/tissue``, ``labels/compartments`` and ``labels/artefact`` on the coarse grid, ``labels/cells`` (the
    human profiles) at full resolution; the clean stains (before background, bleed-through, blur and camera) as
    the coarse image; every body in ``tables/cells``; point spread function, mixing matrix, parameters and the
    true value of every column that follows from the truth in the attributes.

    Parameters
    ----------
    answer : mapping
        Fields of :class:`thymusimg.phantom.Truth` but ``clean`` and ``instances``.
    clean : mapping of str to (Y, X) float32
        Clean stains on the coarse grid, by role.
    paint : callable
        Returns the label image of the human profiles in a window; it is called chunk by chunk.

    Raises
    ------
    OutputError
        If the bundle cannot be written.
    """
    grid = answer["grid"]
    write_bundle(
        path,
        BundleContent(
            grid=grid,
            planes=clean,
            channel_names={role: CHANNELS[role] for role in clean},
            limits={role: (0.0, max(1.0, float(plane.max()))) for role, plane in clean.items()},
            labels={
                "tissue": LabelImage.on_grid(answer["tissue"].astype(np.uint8), grid),
                "compartments": LabelImage.on_grid(answer["labels"], grid),
                "artefact": LabelImage.on_grid(answer["artefact"].astype(np.uint8), grid),
                "cells": LabelImage(grid.slide_shape, "uint32", grid.slide_pixel_um, 0.0, paint),
            },
            tables={"cells": answer["cells"]},
            pictures={},
            attributes=plain(
                {
                    "synthetic": True,
                    "section": {
                        "section_id": section_id,
                        "pixel_size_um": grid.slide_pixel_um,
                        **answer["values"],
                    },
                    "psf": dict(answer["psf"]),
                    "mixing": answer["mixing"].tolist(),
                    "parameters": dict(answer["parameters"]),
                }
            ),
        ),
    )
