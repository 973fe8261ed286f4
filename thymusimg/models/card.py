"""The card of a trained model: what it takes, what it gives, what it was made from, and how good it was.

A model is a folder: ``model.toml`` (this card), the weights that it names, and a ``README.md`` in words.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, Literal

import tomli_w
from pydantic import Field, ValidationError

from thymusimg.errors import ModelError
from thymusimg.settings.base import Frozen

if TYPE_CHECKING:
    from pathlib import Path

CARD = "model.toml"

Task = Literal["cells", "compartments"]
Kind = Literal["unet", "forest", "cellpose"]


class Metric(Frozen):
    """One measured figure of a model, with what it was measured on."""

    name: str
    """For instance ``F1 at IoU 0.5``."""

    value: float

    on: str
    """Data that were not trained on, for instance ``phantom slab, packed, seeds 9001-9004``."""

    before: float | None = None
    """The same figure of the method or model that training began with."""


class Training(Frozen):
    """How a model was made; enough to make it again."""

    command: str
    seed: int
    data: str
    """What was trained on, in words, with its licence."""

    train_animals: tuple[str, ...] = ()
    held_out_animals: tuple[str, ...] = ()
    epochs: int = 0
    settings: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    minutes: float = 0.0
    device: str = "cpu"


class ModelCard(Frozen):
    """What a trained model is: the content of its ``model.toml``."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name by which the command line knows it; the folder's name."""

    version: str = "1"
    task: Task
    kind: Kind
    summary: str = ""
    """One sentence: what it is for and on what it was trained."""

    channels: tuple[str, ...]
    """Roles in the order in which the network takes them."""

    optional_channels: tuple[str, ...] = ()
    """Those of ``channels`` that may be missing; they are given as zeros."""

    classes: tuple[str, ...] = ()
    """Names of the outputs, in order."""

    pixel_size_um: float = Field(gt=0, le=20)
    """Pixel size at which it works; sections are resampled to it."""

    finest_pixel_um: float = Field(0.05, gt=0)
    """Sections with finer pixels than this are refused."""

    coarsest_pixel_um: float = Field(5.0, gt=0)
    """Sections with coarser pixels than this are refused."""

    architecture: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the network's constructor (kind ``unet``)."""

    inference: dict[str, Any] = Field(default_factory=dict)
    """Settings of what is done with the network's outputs, with their meaning in the model's README."""

    weights: str
    """File name of the weights inside the folder."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(gt=0)
    licence: str
    """SPDX name of the weights' licence."""

    made: str = ""
    training: Training | None = None
    metrics: tuple[Metric, ...] = ()


def read_card(folder: Path) -> ModelCard:
    """Read the card of a model folder.

    Raises
    ------
    ModelError
        If there is no card, or it is not one.
    """
    path = folder / CARD
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return ModelCard.model_validate(values)
    except FileNotFoundError:
        raise ModelError(f"{folder}: is no model folder (it has no {CARD}).") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read as a model card ({error}).") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ModelError(f"{path}: is no valid model card ('{where}': {first['msg']}).") from None


def write_card(folder: Path, card: ModelCard) -> None:
    """Write the card of a model folder; what is not known is left out."""
    (folder / CARD).write_text(tomli_w.dumps(card.model_dump(mode="json", exclude_none=True)), encoding="utf-8")
