"""Which method divides the tissue into compartments, by its name or the model that it needs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from thymusimg.compartments.forest import segment_by_forest
from thymusimg.compartments.forest_file import load_forest
from thymusimg.compartments.keratin import segment_compartments
from thymusimg.errors import ModelError
from thymusimg.models.find import find_model
from thymusimg.progress import silent
from thymusimg.settings.compute import ComputeSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg.compartments.model import Compartments, Tissue
    from thymusimg.models.find import InstalledModel
    from thymusimg.progress import Progress
    from thymusimg.section.model import FloatPlane, Grid
    from thymusimg.settings.compartments import CompartmentSettings

UNTRAINED = {"keratin": segment_compartments}
"""Methods of ``--compartments`` that need no trained model."""


class Segment(Protocol):
    """How every method is called."""

    def __call__(
        self, planes: Mapping[str, FloatPlane], tissue: Tissue, grid: Grid, settings: CompartmentSettings, /
    ) -> Compartments:
        """Divide the tissue of a section."""


def find_division(method: str, *, compute: ComputeSettings | None = None, progress: Progress = silent) -> Segment:
    """Return what ``--compartments METHOD`` means, its model found and its hash verified.

    Parameters
    ----------
    method : str
        ``keratin``, ``forest``, ``network``, a model's name, or the path of a model folder.
    compute : ComputeSettings, optional
        Where a network runs, and on how many threads.
    progress : callable
        Told how far a network is; the rule and a forest take one step.

    Raises
    ------
    ModelError
        If there is no such method or model, or the model is a wrong one.
    """
    if method in UNTRAINED:
        return UNTRAINED[method]
    model = find_model(method, "compartments", UNTRAINED)
    if model.card.kind == "forest":
        return partial(segment_by_forest, forest=load_forest(model), method=method_name(method, model))
    if model.card.kind == "unet":
        from thymusimg.compartments.network import segment_by_network

        compute = compute or ComputeSettings()
        return partial(
            segment_by_network, model=model, device=compute.device, threads=compute.threads, progress=progress
        )
    raise ModelError(f"--compartments {method}: a model of kind {model.card.kind} does not divide tissue.")


def model_of(method: str) -> InstalledModel | None:
    """Return the model that a method runs, for the record of a run; None for a method without one.

    Raises
    ------
    ModelError
        If there is no such method or model.
    """
    return None if method in UNTRAINED else find_model(method, "compartments")


def method_name(method: str, model: InstalledModel) -> str:
    """Return what results call a method: a model's name, whatever path it was found under."""
    return method if method == "forest" else model.card.name
