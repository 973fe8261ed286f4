from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thymusimg.compartments.features import WITHOUT_PLACE
from thymusimg.compartments.forest_file import load_forest
from thymusimg.compartments.model import Compartment
from thymusimg.compartments.network import CLASSES
from thymusimg.models.find import find_model
from thymusimg.train import phantom_forest
from thymusimg.train.compartment_sections import UNKNOWN, TrainingSection

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SIDE = 160
Y, X = np.indices((SIDE, SIDE))


def section(seed: int, *, ordered: bool = True) -> TrainingSection:
    rng = np.random.default_rng(seed)
    lobe = np.hypot(Y - 80, X - 80) < 70
    core = np.hypot(Y - 75, X - 85) < 32
    mesh = rng.gamma(2.0, 0.5, (2, SIDE, SIDE)) * lobe
    mixed = np.ones((SIDE, SIDE))
    k14 = mesh[0] * (np.where(core, 2.2, 0.6) if ordered else mixed)
    k8 = mesh[1] * (np.where(core, 0.6, 1.1) if ordered else mixed)
    code = np.where(core, CLASSES.index(Compartment.MEDULLA), CLASSES.index(Compartment.CORTEX))
    wanted = code if ordered else np.full((SIDE, SIDE), CLASSES.index(Compartment.INDETERMINATE))
    wanted = np.where(lobe, wanted, UNKNOWN).astype(np.uint8)
    return TrainingSection(
        f"s{seed}", f"s{seed}", k14.astype(np.float16), k8.astype(np.float16), (2 * lobe).astype(np.uint8), wanted
    )


def drawn(count: int, seed: int, **_: object) -> list[TrainingSection]:
    return [section(100 * seed + i, ordered=i % 3 != 2) for i in range(count)]


def test_a_forest_from_phantoms_is_a_model_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phantom_forest, "draw_sections", drawn)
    model = phantom_forest.train_phantom_forest(tmp_path / "forest", count=4, judged_on=3, command="by hand")
    again = phantom_forest.train_phantom_forest(tmp_path / "again", count=4, judged_on=3)
    assert model.card.sha256 == again.card.sha256
    forest = load_forest(find_model(str(tmp_path / "forest"), "compartments"))
    assert forest.names == WITHOUT_PLACE, "where medulla lies is measured, not presumed"
    figures = {metric.name: metric for metric in model.card.metrics}
    assert figures["Dice medulla"].value > 0.9
    assert figures["Dice medulla"].before is not None
    assert figures["share called cortex or medulla"].value < 0.2
    assert model.card.training is not None
    assert model.card.training.command == "by hand"


def test_places_are_those_of_known_class() -> None:
    first = section(1)
    first.wanted[:80] = UNKNOWN
    places = phantom_forest.places_of([first, section(2)], seed=0)
    counts = np.bincount(places.groups)
    assert counts.tolist() == [phantom_forest.PLACES] * 2
    assert set(places.classes) == {int(Compartment.CORTEX), int(Compartment.MEDULLA)}
