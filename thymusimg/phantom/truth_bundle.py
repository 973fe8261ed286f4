"""The truth of a synthetic section in the layout of a result, so that one reader reads both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from thymusimg.section.store import BundleContent, LabelImage, plain, write_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from thymusimg.phantom.model import Phantom
    from thymusimg.section.model import FloatPlane


def write_truth(phantom: Phantom, path: Path, section_id: str) -> None:
    """Write a section's truth as an OME-Zarr 0.5 bundle.

    ``labels/tissue``, ``labels/compartments`` and ``labels/artefact`` on the coarse grid, ``labels/cells`` (the
    human profiles) at full resolution; the clean stains (before background, bleed-through, blur and camera) as
    the coarse image; every body in ``tables/cells``; point spread function, mixing matrix, parameters and the
    true value of every column that follows from the truth in the attributes.

    Raises
    ------
    OutputError
        If the bundle cannot be written.
    """
    truth = phantom.truth
    grid = truth.grid
    clean = {
        role: _coarse(plane, grid.shape, grid.factor)
        for role, plane in zip(phantom.roles, truth.clean, strict=True)
    }
    write_bundle(
        path,
        BundleContent(
            grid=grid,
            planes=clean,
            channel_names=dict(zip(phantom.roles, phantom.channel_names, strict=True)),
            limits={role: (0.0, max(1.0, float(plane.max()))) for role, plane in clean.items()},
            labels={
                "tissue": LabelImage.on_grid(truth.tissue.astype(np.uint8), grid),
                "compartments": LabelImage.on_grid(truth.labels, grid),
                "artefact": LabelImage.on_grid(truth.artefact.astype(np.uint8), grid),
                "cells": LabelImage(
                    grid.slide_shape, "uint32", phantom.pixel_size_um, 0.0, lambda w: truth.instances[w.slices]
                ),
            },
            tables={"cells": truth.cells},
            pictures={},
            attributes=plain(
                {
                    "synthetic": True,
                    "section": {"section_id": section_id, "pixel_size_um": phantom.pixel_size_um, **truth.values},
                    "psf": dict(truth.psf),
                    "mixing": truth.mixing.tolist(),
                    "parameters": dict(truth.parameters),
                }
            ),
        ),
    )


def _coarse(plane: FloatPlane, shape: tuple[int, int], factor: int) -> FloatPlane:
    rows, columns = (n * factor - size for n, size in zip(shape, plane.shape, strict=True))
    whole = np.pad(plane, ((0, rows), (0, columns)), mode="edge")
    return np.asarray(cv2.resize(whole, shape[::-1], interpolation=cv2.INTER_AREA), np.float32)
