"""A forest as a model folder: arrays of numbers, never an object that runs when it is read."""

from __future__ import annotations

import zipfile
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from thymusimg.compartments.features import WORKING_UM, check_names
from thymusimg.compartments.forest import Forest
from thymusimg.compartments.model import Compartment
from thymusimg.errors import ModelError, OutputError
from thymusimg.models.card import Metric, ModelCard, Training, write_card
from thymusimg.models.find import InstalledModel
from thymusimg.provenance import sha256_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WEIGHTS = "forest.npz"
_FORMAT = 1
_ARRAYS = {
    "roots": np.int32, "feature": np.int16, "threshold": np.float32, "left": np.int32, "right": np.int32,
    "value": np.float32,
}  # fmt: skip


def save_forest(
    forest: Forest,
    folder: Path,
    *,
    name: str = "",
    summary: str = "",
    licence: str = "BSD-3-Clause",
    made: str = "",
    training: Training | None = None,
    metrics: Sequence[Metric] = (),
) -> InstalledModel:
    """Write a forest and its card to a model folder, which is made where it is missing.

    The same forest gives the same bytes.

    Parameters
    ----------
    forest : Forest
    folder : Path
    name : str
        Name of the model; the folder's if empty.
    summary, licence, made : str
        As in :class:`thymusimg.models.card.ModelCard`.
    training : Training, optional
    metrics : sequence of Metric

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    path = folder / WEIGHTS
    arrays: dict[str, Any] = {key: np.asarray(getattr(forest, key), kind) for key, kind in _ARRAYS.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(
            path, format=np.int64(_FORMAT), names=np.array(forest.names),
            classes=np.array(forest.classes, np.uint8), **arrays,
        )  # fmt: skip
        card = ModelCard(
            name=name or folder.name,
            task="compartments",
            kind="forest",
            summary=summary,
            channels=("k14", "k8"),
            classes=tuple(Compartment(code).name.lower() for code in forest.classes),
            pixel_size_um=WORKING_UM,
            inference={"least_probability": forest.least_probability, "smoothing_um": forest.smoothing_um},
            weights=WEIGHTS,
            sha256=sha256_of(path),
            size_bytes=path.stat().st_size,
            licence=licence,
            made=made,
            training=training,
            metrics=tuple(metrics),
        )
        write_card(folder, card)
    except OSError as error:
        raise OutputError(f"{folder}: the model cannot be written ({error.strerror or error})") from None
    return InstalledModel(folder, card)


def load_forest(model: InstalledModel) -> Forest:
    """Read the forest of an installed model; each is read once a process.

    Raises
    ------
    ModelError
        If the file is no forest, or a forest that cannot be walked through (nodes that point nowhere or back).
    """
    if model.card.kind != "forest":
        raise ModelError(f"'{model.card.name}' is no forest but a model of kind {model.card.kind}.")
    least, smoothing = (float(model.card.inference.get(key, -1)) for key in ("least_probability", "smoothing_um"))
    if not (0 <= least <= 1 and 0 < smoothing <= 100):
        raise ModelError(
            f"{model.folder}: the card's inference needs least_probability (0-1) and smoothing_um (0-100), found "
            f"{least:g} and {smoothing:g}."
        )
    return _read(model.weights, model.card.sha256, least, smoothing)


@lru_cache(maxsize=4)
def _read(path: Path, sha256: str, least: float, smoothing: float) -> Forest:
    del sha256  # other weights under the same path are read anew
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            stored = {key: file[key] for key in ("format", "names", "classes", *_ARRAYS)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: cannot be read as a forest ({error}). Copy the model folder again.") from None
    if int(stored["format"]) != _FORMAT:
        raise ModelError(
            f"{path}: is a forest of format {int(stored['format'])}; this version reads {_FORMAT}. "
            "Update thymusimg."
        )
    names = tuple(str(name) for name in stored["names"])
    check_names(names, str(path))
    arrays = {key: np.asarray(stored[key], kind) for key, kind in _ARRAYS.items()}
    classes = tuple(int(code) for code in stored["classes"])
    if fault := _fault(arrays, len(names), classes):
        raise ModelError(f"{path}: is no sound forest ({fault}). Copy the model folder again.")
    return Forest(names, classes, **arrays, least_probability=least, smoothing_um=smoothing)


def _fault(arrays: dict[str, npt.NDArray[Any]], features: int, classes: tuple[int, ...]) -> str:
    """Say why these arrays must not be walked through; empty if they may."""
    nodes = len(arrays["feature"])
    value = arrays["value"]
    if any(arrays[key].shape != (nodes,) for key in ("threshold", "left", "right")):
        return "its arrays differ in length"
    if value.ndim != 2 or value.shape[1] != len(classes) or len(classes) < 2:
        return "its leaves do not hold its classes"
    if any(code not in set(Compartment) for code in classes):
        return "its classes are no compartments"
    roots, leaf, here = arrays["roots"], arrays["feature"] < 0, np.arange(nodes)
    if roots.ndim != 1 or len(roots) == 0 or roots.min() < 0 or roots.max() >= nodes:
        return "its trees begin nowhere"
    left, right, inner = arrays["left"], arrays["right"], ~leaf
    if arrays["feature"].max(initial=-1) >= features:
        return "it asks for more features than it names"
    # Children come after their parent, so that every walk ends.
    if any((to[inner] <= here[inner]).any() or (to[inner] >= nodes).any() for to in (left, right)):
        return "its nodes point back or nowhere"
    if leaf.any() and (left[leaf].min() < 0 or left[leaf].max() >= len(value)):
        return "its leaves hold nothing"
    return ""
