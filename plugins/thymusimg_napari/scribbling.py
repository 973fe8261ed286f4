"""Strokes on several sections, from which a forest is trained and kept as a model. No Qt."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from thymusimg import __version__
from thymusimg.compartments.forest_file import save_forest
from thymusimg.compartments.looked import only_painted
from thymusimg.compartments.model import Compartment
from thymusimg.compartments.scribbles import Scribbled, fit_from_sections, gather_places, left_out_accuracy
from thymusimg.errors import OutputError
from thymusimg.models.card import Metric, Training
from thymusimg_napari.autosave import journal_root

if TYPE_CHECKING:
    from pathlib import Path

    from thymusimg.compartments.forest import Forest
    from thymusimg.compartments.scribbles import Look
    from thymusimg.models.find import InstalledModel
    from thymusimg.section.model import LabelPlane

CLASSES = (Compartment.CORTEX, Compartment.MEDULLA, Compartment.OTHER, Compartment.INDETERMINATE)
"""What can be scribbled."""
BRUSH_UM = 24.0
"""A stroke is some three cells wide."""


@dataclass(frozen=True)
class Trained:
    """A forest and what it was trained on.

    Attributes
    ----------
    places : mapping of str to mapping
        Working pixels by section and compartment.
    accuracy : mapping of str to float
        Balanced accuracy on every section or animal by a forest trained on all the others; empty with one only.
    """

    forest: Forest
    places: dict[str, dict[str, int]]
    accuracy: dict[str, float]
    seconds: float


class Strokes:
    """What was painted on every section since the window was opened; looks are kept for the open one only."""

    def __init__(self) -> None:
        self._sections: dict[str, Scribbled] = {}
        self._open: tuple[str, Look] | None = None

    def opened(self, section_id: str, look: Look) -> None:
        """Take the look at the open section."""
        self._open = (section_id, look)

    def look_of(self, section_id: str) -> Look | None:
        """Return the look at the open section, if it was looked at."""
        return self._open[1] if self._open is not None and self._open[0] == section_id else None

    def left(self) -> None:
        """Forget the look: another section is open."""
        self._open = None

    def put(self, section_id: str, scribbles: LabelPlane, animal: str = "") -> None:
        """Take the strokes of the open section, in place of what it had."""
        look = self.look_of(section_id)
        if look is None:
            return
        if not scribbles.any():
            self._sections.pop(section_id, None)
            return
        self._sections[section_id] = only_painted(Scribbled(look, scribbles.copy(), section_id, animal))

    def strokes_of(self, section_id: str) -> LabelPlane | None:
        """Return what was painted on a section, or None."""
        found = self._sections.get(section_id)
        return None if found is None else found.scribbles

    def forget(self, section_id: str) -> None:
        """Take a section out of the training."""
        self._sections.pop(section_id, None)

    @property
    def sections(self) -> tuple[Scribbled, ...]:
        """The sections with strokes, by name."""
        return tuple(self._sections[name] for name in sorted(self._sections))

    def places(self) -> dict[str, dict[str, int]]:
        """Return how many places that can be judged are painted, by section and compartment."""
        return {section.name: count_places(section) for section in self.sections}


def count_places(section: Scribbled) -> dict[str, int]:
    """Return the painted places of a section that can be judged, by compartment."""
    classes = gather_places([section]).classes
    return {Compartment(int(c)).name.lower(): int(np.count_nonzero(classes == c)) for c in np.unique(classes)}


def train(sections: tuple[Scribbled, ...], *, seed: int = 0) -> Trained:
    """Fit a forest on strokes, and say how well it does on each section when it has not seen it.

    Raises
    ------
    CallError
        If there is too little to learn from; it says of what.
    """
    start = time.perf_counter()
    forest = fit_from_sections(sections, seed=seed)
    places = gather_places(sections, seed=seed)
    names = list(dict.fromkeys(section.group or section.name for section in sections))
    accuracy = {names[group]: value for group, value in left_out_accuracy(places, seed=seed).items()}
    counts = {section.name: count_places(section) for section in sections}
    return Trained(forest, counts, accuracy, time.perf_counter() - start)


def save_model(trained: Trained, folder: Path, *, who: str, sections: tuple[Scribbled, ...]) -> InstalledModel:
    """Write a forest as a model folder, which the command line and every session can use.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    animals = tuple(dict.fromkeys(section.group or section.name for section in sections))
    classes = ", ".join(Compartment(code).name.lower() for code in trained.forest.classes)
    data = f"strokes by {who} on {len(sections)} section(s): {', '.join(section.name for section in sections)}"
    metrics = tuple(
        Metric(name="balanced accuracy on strokes", value=value, on=f"{name}, by a forest trained on the others")
        for name, value in trained.accuracy.items()
        if np.isfinite(value)
    )
    model = save_forest(
        trained.forest, folder,
        summary=f"Trained on {data}.",
        licence="LicenseRef-not-stated",
        made=datetime.now(UTC).date().isoformat(),
        training=Training(
            command="napari: Compartments widget, Train", seed=0, data=data, train_animals=animals,
            settings={"places": trained.places}, versions={"thymusimg": __version__},
            minutes=trained.seconds / 60,
        ),
        metrics=metrics,
    )  # fmt: skip
    try:
        (folder / "README.md").write_text(_words(model.card.name, data, classes, trained), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder}: the model cannot be written ({error.strerror or error})") from None
    return model


def keep_draft(trained: Trained, *, who: str, sections: tuple[Scribbled, ...]) -> InstalledModel:
    """Keep a forest beside the journals, so that what it drew has a model with a hash, and survives a kill.

    Raises
    ------
    OutputError
    """
    forest = trained.forest
    parts = (forest.feature, forest.threshold, forest.left, forest.right, forest.value)
    digest = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()[:8]
    folder = journal_root() / "forests" / f"strokes-{digest}-{round(100 * forest.least_probability)}"
    return save_model(trained, folder, who=who, sections=sections)


def _words(name: str, data: str, classes: str, trained: Trained) -> str:
    rows = "\n".join(
        f"| {section} | {', '.join(f'{count} {what}' for what, count in counts.items())} |"
        for section, counts in trained.places.items()
    )
    seen = "\n".join(f"* {section}: {value:.2f}" for section, value in trained.accuracy.items())
    held = seen or "Not known: with strokes on one section only there is nothing to test on."
    return (
        f"# {name}\n\nA random forest that tells {classes} apart, trained on {data}.\n\n"
        f"Use it with `--compartments {name}` or by the path of this folder.\n\n"
        f"| section | places painted |\n|---|---|\n{rows}\n\n"
        f"Balanced accuracy on the strokes of each section or animal, by a forest trained on the others:\n\n"
        f"{held}\n"
    )
