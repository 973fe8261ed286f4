"""Which method finds the cells, by its name or the model that it needs."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from thymusimg.cells.classical import detect_cells
from thymusimg.device import resolve_device
from thymusimg.errors import CellsError, MissingExtraError, ModelError
from thymusimg.models.find import find_model
from thymusimg.settings.compute import ComputeSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.cells.model import Cells, Gate
    from thymusimg.cells.segmenter import Segmenter
    from thymusimg.channels.correct import Correction
    from thymusimg.compartments.model import Compartments
    from thymusimg.models.find import InstalledModel
    from thymusimg.progress import Progress
    from thymusimg.section.model import FloatPlane, Section
    from thymusimg.settings import CellSettings

UNTRAINED = {"classical": detect_cells}
"""Methods of ``--cells`` that need no trained model."""


class Detector(Protocol):
    """How every method is called."""

    def __call__(
        self,
        section: Section,
        correction: Correction,
        compartments: Compartments,
        gate: Gate,
        settings: CellSettings,
        /,
        *,
        planes: Mapping[str, FloatPlane],
        progress: Progress,
    ) -> Cells:
        """Find the human CD45+ cells of a section; ``planes`` are its corrected coarse ones."""


def find_detector(method: str, *, compute: ComputeSettings | None = None) -> Detector:
    """Return what ``--cells METHOD`` means, its model found, its hash verified and its device there.

    Parameters
    ----------
    method : str
        ``classical``, ``network``, ``cellpose``, ``none``, a model's name, the path of a model folder or of
        Cellpose weights, or the name under which another package registers a segmenter.
    compute : ComputeSettings, optional
        Tiles, threads and device; of the tiles and threads no result depends.

    Raises
    ------
    ModelError
        If there is no such method or model, or the model is a wrong one.
    MissingExtraError
        If it needs a library that is not installed.
    DeviceError
        If it needs a device that is not there.
    """
    compute = compute or ComputeSettings()
    tiles: dict[str, Any] = {"tile_px": compute.tile_px, "threads": compute.threads}
    if method == "none":
        return _none
    if method in UNTRAINED:
        return _without_planes(UNTRAINED[method], **tiles)
    found = _find(method)
    resolve_device(compute.device)
    if isinstance(found, _Foreign):
        from thymusimg.cells.cellpose import check_extra, uses_cellpose
        from thymusimg.cells.segmentation import detect_with_segmenter

        if uses_cellpose(found.segmenter):
            check_extra()

        return _without_planes(detect_with_segmenter, segmenter=found.segmenter, device=compute.device, **tiles)
    if find_spec("torch") is None:
        raise MissingExtraError(f"--cells {method}: networks need torch: pip install 'thymusimg[torch]'")
    return _network(found, compute)


def model_of(method: str) -> InstalledModel | None:
    """Return the model that a method runs, for the record of a run; None for a method without one of ours.

    Raises
    ------
    ModelError
        If there is no such method or model.
    """
    if method == "none" or method in UNTRAINED:
        return None
    found = _find(method)
    return None if isinstance(found, _Foreign) else found


def identity_of(method: str) -> str:
    """Return name, version and hash of what a method runs, as provenance records it; "" for one without a model.

    Raises
    ------
    ModelError
        If there is no such method or model.
    """
    if method == "none" or method in UNTRAINED:
        return ""
    found = _find(method)
    return found.segmenter.identity if isinstance(found, _Foreign) else found.identity


class _Foreign:
    """A segmenter that is not ours."""

    def __init__(self, segmenter: Segmenter) -> None:
        self.segmenter = segmenter


def _find(method: str) -> InstalledModel | _Foreign:
    """Return the model or the segmenter that a name means: a registered segmenter before a model of that name."""
    from thymusimg.cells.cellpose import find_cellpose, is_cellpose, segmenter_of_model
    from thymusimg.cells.segmenters import find_segmenter, segmenter_names

    if method in segmenter_names():
        return _Foreign(find_segmenter(method))
    if is_cellpose(method):
        return _Foreign(find_cellpose(method))
    model = find_model(method, "cells", (*UNTRAINED, "cellpose", "none", *segmenter_names()))
    if model.card.kind == "cellpose":
        return _Foreign(segmenter_of_model(model))
    if model.card.kind == "unet":
        return model
    raise ModelError(f"--cells {method}: a model of kind {model.card.kind} does not find cells.")


def _network(model: InstalledModel, compute: ComputeSettings) -> Detector:
    from thymusimg.cells.network import check_model, detect_with_network

    check_model(model)

    def detect(
        section: Section,
        correction: Correction,
        compartments: Compartments,
        gate: Gate,
        settings: CellSettings,
        /,
        *,
        planes: Mapping[str, FloatPlane],
        progress: Progress,
    ) -> Cells:
        return detect_with_network(
            section, correction, compartments, gate, settings, model=model, device=compute.device, planes=planes,
            threads=compute.threads, progress=progress,
        )  # fmt: skip

    return detect


def _without_planes(function: Any, **options: Any) -> Detector:
    def detect(
        section: Section,
        correction: Correction,
        compartments: Compartments,
        gate: Gate,
        settings: CellSettings,
        /,
        *,
        planes: Mapping[str, FloatPlane],
        progress: Progress,
    ) -> Cells:
        del planes
        cells: Cells = function(section, correction, compartments, gate, settings, progress=progress, **options)
        return cells

    return detect


def _none(*_: object, **__: object) -> Cells:
    raise CellsError("cells were not asked for (--cells none)")
