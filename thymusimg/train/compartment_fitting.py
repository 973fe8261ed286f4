"""How a compartment network is fitted: its size and schedule, its loss, and the score that stops it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from thymusimg.compartments.model import PARENCHYMA
from thymusimg.compartments.network import CLASSES, network_inputs
from thymusimg.train.compartment_sections import UNKNOWN
from thymusimg.train.loop import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thymusimg.section.model import LabelPlane
    from thymusimg.train.compartment_sections import TrainingSection

ARCHITECTURE: dict[str, Any] = {"widths": [16, 24, 32, 48, 64, 64], "stem": 2}
_OVERLAP = 0.5  # weight of the overlap against the cross entropy
_LEAST_SHARE = 0.02  # of the judged tissue; a smaller compartment has no Dice worth averaging


@dataclass(frozen=True)
class CompartmentFit:
    """Schedule and patches of a fit."""

    schedule: Schedule = field(default_factory=lambda: Schedule(epochs=16, steps=100, rate=3e-3, patience=16))
    batch: int = 3
    side_px: int = 320

    @classmethod
    def gentle(cls) -> CompartmentFit:
        """Return the settings of fine-tuning to a few sections."""
        return cls(Schedule(epochs=12, steps=30, rate=5e-4, patience=4), batch=2, side_px=320)

    def as_table(self) -> dict[str, Any]:
        """Return all settings as plain values."""
        return asdict(self)


def segmentation_loss(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return weighted cross entropy plus half of one minus the soft Dice (Milletari et al. 2016) of the parenchyma.

    Parameters
    ----------
    scores : (N, K, Y, X) tensor
        Raw outputs.
    target : (N, 2, Y, X) tensor
        Place of the class, and weight.
    """
    wanted, weight = target[:, 0].long(), target[:, 1]
    total = weight.sum().clamp(min=1.0)
    entropy = (functional.cross_entropy(scores, wanted, reduction="none") * weight).sum() / total
    share = scores.softmax(1) * weight[:, None]
    true = functional.one_hot(wanted, scores.shape[1]).movedim(-1, 1) * weight[:, None]
    parenchyma = slice(0, len(PARENCHYMA))
    both = (share * true).sum((0, 2, 3))[parenchyma]
    size = (share + true).sum((0, 2, 3))[parenchyma]
    overlap = (2 * both + 50) / (size + 50)
    loss: torch.Tensor = entropy + _OVERLAP * (1 - overlap.mean())
    return loss


def validation(sections: Sequence[TrainingSection], device: str) -> Callable[[torch.nn.Module], dict[str, float]]:
    """Return what scores a network on whole sections.

    The score is the mean over sections of the mean Dice of the kinds of parenchyma that a section has.
    """

    def validate(module: torch.nn.Module) -> dict[str, float]:
        rows = [_dice(predicted(module, section, device), section) for section in sections]
        with np.errstate(invalid="ignore"):
            score = float(np.mean([np.nanmean(row) for row in rows if np.isfinite(row).any()]))
        figures = {"score": score}
        for place in range(len(PARENCHYMA)):
            known = [row[place] for row in rows if np.isfinite(row[place])]
            figures[f"dice_{CLASSES[place].name.lower()}"] = float(np.mean(known)) if known else float("nan")
        return figures

    return validate


def predicted(module: torch.nn.Module, section: TrainingSection, device: str) -> LabelPlane:
    """Return the most probable class of every pixel of a section."""
    given = network_inputs(section.k14.astype(np.float32), section.k8.astype(np.float32), section.where)
    height, width = section.where.shape
    stride = int(module.stride)
    padded = np.pad(given, ((0, 0), (0, -height % stride), (0, -width % stride)))
    with torch.inference_mode():
        scores = module(torch.from_numpy(padded)[None].to(device))
    return np.asarray(scores[0, :, :height, :width].argmax(0).cpu().numpy(), np.uint8)


def _dice(found: LabelPlane, section: TrainingSection) -> list[float]:
    known = section.judged & (section.wanted != UNKNOWN)
    scores = []
    for place in range(len(PARENCHYMA)):
        true, own = section.wanted[known] == place, found[known] == place
        if true.sum() < _LEAST_SHARE * known.sum():
            scores.append(float("nan"))
            continue
        scores.append(2 * float((true & own).sum()) / float(true.sum() + own.sum()))
    return scores
