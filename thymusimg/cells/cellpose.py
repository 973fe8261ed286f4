"""Cellpose with the user's own weights, as a segmenter on our tiles and our scale: which weights, hash-checked.

Nothing is fetched: weights that are not there are an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thymusimg.cells.segmenter import Segmenter
from thymusimg.errors import MissingExtraError, ModelError
from thymusimg.models.card import CARD, ModelCard, write_card
from thymusimg.models.find import InstalledModel, list_models, verify
from thymusimg.provenance import sha256_of

if TYPE_CHECKING:
    from thymusimg.cells.segmenter import Segment

TILE_PX = 768
"""Four by four of the network's 256 px, overlapping by a third: one batch on a GPU."""
PIXEL_UM = 0.25
"""A profile of a thymocyte is then about 30 px wide, as the mean cell of Cellpose's training."""
DIAMETER_UM = 8.0
INFERENCE = {"flow_threshold": 0.4, "cellprob_threshold": 0.0, "min_size_px": 15}
"""What a card's ``inference`` may set, and Cellpose's own values."""
HOW = (
    "Put your Cellpose 4 weights into a folder under ~/.thymusimg/models, with a card "
    "(thymusimg.cells.cellpose.write_cellpose_card makes it), or give their path: --cells PATH. Nothing is fetched."
)


def is_cellpose(method: str) -> bool:
    """Tell whether ``--cells METHOD`` means Cellpose by name or by a file of weights, not by a model's name."""
    path = Path(method).expanduser()
    return method == "cellpose" or (path.is_file() and path.name != CARD)


def find_cellpose(wanted: str = "cellpose") -> Segmenter:
    """Return Cellpose with the weights that ``--cells`` means.

    Parameters
    ----------
    wanted : str
        ``cellpose`` (the one registered Cellpose model), a registered model's name, a model folder, or a file of
        weights.

    Raises
    ------
    ModelError
        If there are no such weights, several registered ones, or they are not those of their card.
    """
    path = Path(wanted).expanduser()
    if path.is_file() and path.name != CARD:
        return segmenter_of_weights(path)
    if wanted != "cellpose" and ("/" in wanted or path.suffix):
        raise ModelError(f"--cells {wanted}: there is no such file. {HOW}")
    models = [model for model in list_models()[0] if model.card.kind == "cellpose"]
    chosen = [model for model in models if model.card.name == wanted]
    if wanted == "cellpose":
        chosen = chosen or models
    if not chosen:
        raise ModelError(f"--cells {wanted}: no Cellpose weights are registered. {HOW}")
    if len(chosen) > 1:
        names = ", ".join(model.card.name for model in chosen)
        raise ModelError(f"--cells cellpose: several Cellpose models are registered ({names}); give one by name.")
    return segmenter_of_model(chosen[0])


def segmenter_of_model(model: InstalledModel) -> Segmenter:
    """Return the segmenter of a model folder of kind ``cellpose``, its weights verified against the card.

    Raises
    ------
    ModelError
        If the card is of another kind, asks for what Cellpose cannot do, or the weights are not the card's.
    """
    card = model.card
    if card.kind != "cellpose" or card.task != "cells":
        raise ModelError(f"{model.folder}: a model of kind '{card.kind}' for {card.task} is no Cellpose model.")
    if unknown := sorted(set(card.inference) - {*INFERENCE, "diameter_um"}):
        known = ", ".join([*INFERENCE, "diameter_um"])
        raise ModelError(f"{model.folder}: the card's inference has {', '.join(unknown)}; known are {known}.")
    verify(model)
    used: dict[str, Any] = INFERENCE | card.inference
    return Segmenter(
        card.name,
        _Loader(model.weights, card.sha256, *(float(used[name]) for name in INFERENCE)),
        _at_most_three(card.channels, model.folder),
        card.pixel_size_um,
        float(used.get("diameter_um", DIAMETER_UM)),
        TILE_PX,
        card.optional_channels,
        version=f"{card.version} sha256:{card.sha256}",
        summary=card.summary,
    )


def segmenter_of_weights(weights: Path) -> Segmenter:
    """Return Cellpose with a file of weights without a card: CD45, and DAPI where there is any, at 0.25 µm/px.

    The hash is recorded with the results; there is nothing to compare it with.
    """
    sha256 = _hash_of(weights.resolve(), weights.stat().st_mtime_ns)
    return Segmenter(
        "cellpose",
        _Loader(weights.resolve(), sha256, *INFERENCE.values()),
        ("cd45", "dapi"),
        PIXEL_UM,
        DIAMETER_UM,
        TILE_PX,
        ("dapi",),
        version=f"{weights.name} sha256:{sha256}",
        summary="Cellpose 4 weights without a card",
    )


def write_cellpose_card(
    weights: Path,
    *,
    licence: str,
    channels: tuple[str, ...] = ("cd45", "dapi"),
    optional_channels: tuple[str, ...] = ("dapi",),
    pixel_size_um: float = PIXEL_UM,
    summary: str = "Cellpose-SAM with the user's own weights",
) -> ModelCard:
    """Write the card of Cellpose weights beside them; the folder's name becomes the model's.

    Parameters
    ----------
    weights : Path
        A file in a folder of its own, for instance ``~/.thymusimg/models/my-cpsam/cpsam``.
    licence : str
        SPDX name of the weights' licence.
    channels, optional_channels : tuple of str
        Roles in the order of training, three at most; missing optional ones are given as zeros.
    pixel_size_um : float
        Pixel size that makes cells about 30 px wide, or that of your own training.
    """
    if not weights.is_file():
        raise ModelError(f"{weights}: there is no such file. Nothing is fetched.")
    card = ModelCard(
        name=weights.resolve().parent.name,
        task="cells",
        kind="cellpose",
        summary=summary,
        channels=_at_most_three(channels, weights.parent),
        optional_channels=optional_channels,
        pixel_size_um=pixel_size_um,
        inference=dict(INFERENCE),
        weights=weights.name,
        sha256=sha256_of(weights),
        size_bytes=weights.stat().st_size,
        licence=licence,
    )
    write_card(weights.parent, card)
    return card


def _at_most_three(channels: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    if len(channels) > 3:
        raise ModelError(f"{folder}: Cellpose takes three channels at most, the card names {', '.join(channels)}.")
    return channels


def uses_cellpose(segmenter: Segmenter) -> bool:
    """Tell whether a segmenter is Cellpose with given weights."""
    return isinstance(segmenter.load, _Loader)


def check_extra() -> None:
    """Check that Cellpose is installed, without importing it.

    Raises
    ------
    MissingExtraError
    """
    if missing := [name for name in ("torch", "cellpose", "segment_anything") if find_spec(name) is None]:
        raise MissingExtraError(
            f"--cells cellpose needs {' and '.join(missing)}: pip install 'thymusimg[cellpose]'. "
            "The weights are yours to bring."
        )


@cache
def _hash_of(weights: Path, changed: int) -> str:
    del changed  # a changed file is hashed again
    return sha256_of(weights)


@dataclass(frozen=True)
class _Loader:
    """Loads a file of weights onto a device; equal files and settings are one segmenter, loaded once a process."""

    weights: Path
    sha256: str
    flow_threshold: float
    cellprob_threshold: float
    min_size_px: float

    def __call__(self, device: str) -> Segment:
        check_extra()
        from thymusimg.networks.cellpose_sam import CellposeSAM, load_cellpose

        return CellposeSAM(
            load_cellpose(self.weights, device),
            flow_threshold=self.flow_threshold,
            cellprob_threshold=self.cellprob_threshold,
            min_size_px=int(self.min_size_px),
        )
