"""Real nuclei as cells: images of the Data Science Bowl 2018 (BBBC038, CC0; Caicedo et al. 2019).

They hold the texture of real nuclei and of a real background, which no synthetic section has; they hold no CD45.
So a part of the nuclei of an image gets a synthetic membrane as CD45 and the image itself as DAPI; or the image
itself stands for CD45, each nucleus a filled cell.
"""

from __future__ import annotations

import csv
import io
import zipfile
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import tifffile

from thymusimg.errors import CallError
from thymusimg.train.cell_examples import CellExample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

ARCHIVE, INDEX = "images_and_masks.zip", "index.csv"
HELD_OUT = ("520x696", "1024x1024")
"""Sizes of images that are never fitted on: images of one size come from one laboratory and resemble each other."""
NUCLEUS_PX = 10.0
"""Diameter to which the median nucleus of an image is brought: a thymocyte's, 5 µm at 0.5 µm/px."""
_MEMBRANE_SDS = (6.0, 60.0)


def nuclei_examples(folder: Path, seed: int, *, held_out: bool = False) -> list[CellExample]:
    """Return two examples an image: nuclei with synthetic membranes around a part of them, and nuclei as cells.

    Parameters
    ----------
    folder : Path
        Holds ``images_and_masks.zip`` (``ID_img.tif``, ``ID_lab.tif``) and ``index.csv`` (``id, h, w``).
    seed : int
    held_out : bool
        Return the images of the sizes :data:`HELD_OUT` instead of all others.

    Raises
    ------
    CallError
        If the folder does not hold these files.
    """
    if not (folder / ARCHIVE).is_file() or not (folder / INDEX).is_file():
        raise CallError(f"--nuclei {folder}: holds no {ARCHIVE} with its {INDEX}.")
    examples = []
    for number, (name, group, image, labels) in enumerate(_images(folder)):
        if (group in HELD_OUT) != held_out:
            continue
        small = _to_scale(image, labels)
        if small is None:
            continue
        rng = np.random.default_rng([0xD5B, seed, number])
        for made, what in ((with_membranes(*small, rng), "membranes"), (as_cells(*small), "blobs")):
            cd45, dapi, cells = made
            if min(cells.shape) < 64:
                continue
            examples.append(
                CellExample(
                    f"nuclei {name} {what}", f"nuclei {group}", cd45.astype(np.float16),
                    None if dapi is None else dapi.astype(np.float16), cells.astype(np.int32),
                )
            )  # fmt: skip
    return examples


def _images(folder: Path) -> Iterator[tuple[str, str, npt.NDArray[Any], npt.NDArray[Any]]]:
    with (folder / INDEX).open(encoding="utf-8") as stream:
        sizes = {row["id"][:12]: f"{row['h']}x{row['w']}" for row in csv.DictReader(stream)}
    with zipfile.ZipFile(folder / ARCHIVE) as archive:
        names = sorted(n.removesuffix("_img.tif") for n in archive.namelist() if n.endswith("_img.tif"))
        for name in names:
            image, labels = (
                tifffile.imread(io.BytesIO(archive.read(f"{name}_{part}.tif"))) for part in ("img", "lab")
            )
            yield name, sizes.get(name[:12], "unknown"), image, labels


def _to_scale(
    image: npt.NDArray[Any], labels: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]] | None:
    """Bring an image to SDs above its background and its nuclei to the size of a thymocyte's."""
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    if len(areas) < 3 or image.ndim != 2:
        return None
    scale = NUCLEUS_PX / float(np.sqrt(4 * np.median(areas) / np.pi))
    if not 0.1 < scale < 2:
        return None
    size = tuple(max(1, round(n * scale)) for n in image.shape)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    plane = cv2.resize(image.astype(np.float32), size[::-1], interpolation=way)
    named = cv2.resize(labels.astype(np.float32), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    cells = np.rint(named).astype(np.int32)
    empty = plane[cells == 0]
    if empty.size < 100:
        return None
    level = float(np.median(empty))
    sd = max(
        1.4826 * float(np.median(np.abs(empty - level))), 0.02 * (float(np.quantile(plane, 0.95)) - level), 0.3
    )
    return (plane - np.float32(level)) / np.float32(sd), cells


def as_cells(
    plane: npt.NDArray[np.float32], cells: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.float32], None, npt.NDArray[np.int32]]:
    """Take the nuclei for filled CD45 profiles."""
    return plane, None, cells


def with_membranes(
    plane: npt.NDArray[np.float32], cells: npt.NDArray[np.int32], rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Draw a membrane about 1 µm outside a part of the nuclei; the others are mouse cells.

    Returns
    -------
    cd45, dapi, labels
    """
    names = np.unique(cells[cells > 0])
    human = rng.random(int(cells.max()) + 1) < rng.uniform(0.3, 1.0)
    human[0] = False
    light = np.exp(rng.normal(0, 0.4, len(human))).astype(np.float32) * human
    nucleus = np.where(human[cells], cells, 0)
    away, nearest = _nearest(nucleus)
    grown = np.where((away <= rng.uniform(1.0, 2.6)) & (human[cells] | (cells == 0)), nearest, 0)
    # the membrane of each is its own rim, so two neighbours have two
    inside = cv2.erode(grown.astype(np.float32), np.ones((3, 3), np.uint8)) == grown
    same = cv2.dilate(grown.astype(np.float32), np.ones((3, 3), np.uint8)) == grown
    rim = (grown > 0) & ~(inside & same)
    filled = float(rng.uniform(0, 0.35))
    stain = light[grown] * np.where(rim, np.float32(1), np.float32(filled)) * (grown > 0)
    stain = cv2.GaussianBlur(stain.astype(np.float32), (0, 0), float(rng.uniform(0.6, 1.2)))
    strength = float(np.exp(rng.uniform(*np.log(_MEMBRANE_SDS))))
    texture = cv2.GaussianBlur(rng.standard_normal(plane.shape).astype(np.float32), (0, 0), 6.0)
    cd45 = strength * stain + 6.0 * texture + rng.standard_normal(plane.shape).astype(np.float32) * 0.7
    cd45 += float(rng.uniform(0, 0.1)) * np.maximum(plane, 0)  # DAPI that bleeds through
    high = max(float(np.quantile(plane, 0.95)), 1e-3) if len(names) else 1.0
    return np.asarray(cd45, np.float32), plane / np.float32(high), grown.astype(np.int32)


def _nearest(labels: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Return the distance to the nearest label, and which it is."""
    if not (labels > 0).any():
        return np.full(labels.shape, np.inf, np.float32), labels
    away, zone = cv2.distanceTransformWithLabels(
        (labels == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    owner = np.zeros(int(zone.max()) + 1, np.int32)
    owner[zone[labels > 0]] = labels[labels > 0]
    return away, owner[zone]
