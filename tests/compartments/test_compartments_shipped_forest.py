"""The forest that ships: found by its name, intact, and no worse than the rule that needs no training."""

from __future__ import annotations

import pytest

from thymusimg.compartments.methods import find_division
from thymusimg.compartments.model import Compartment
from thymusimg.evaluate.overlap import dice
from thymusimg.models.find import find_model
from thymusimg.phantom import GENERATORS, PhantomSpec, make_phantom
from thymusimg.phantom.section import as_section
from thymusimg.pipeline import check_methods, prepare_section
from thymusimg.settings import Settings

SETTINGS = Settings.from_mapping({"compartments": {"method": "forest"}, "cells": {"method": "none"}})


def test_it_is_there_and_small() -> None:
    check_methods(SETTINGS)
    card = find_model("forest", "compartments").card
    assert card.size_bytes < 2_000_000
    assert card.channels == ("k14", "k8")
    assert card.training is not None
    assert "--method forest" in card.training.command
    assert {metric.name for metric in card.metrics} >= {"Dice medulla", "Dice cortex"}


@pytest.mark.parametrize("generator", sorted(GENERATORS))
@pytest.mark.parametrize("hard", [False, True], ids=["nominal", "hard"])
def test_no_worse_than_the_rule(generator: str, hard: bool) -> None:
    spec = PhantomSpec(area_mm2=0.6, indeterminate_fraction=0.05, k14_strength=0.5 if hard else 1.0)
    phantom = make_phantom(spec.hard() if hard else spec, 21, pixel_size_um=1.0, generator=generator)
    seen = prepare_section(as_section(phantom, "s"), SETTINGS)
    found, truth = seen.compartments, phantom.truth.labels
    rule = find_division("keratin")(seen.planes, seen.tissue, seen.survey.grid, SETTINGS.compartments)
    assert found.method == "forest"
    for code in (Compartment.MEDULLA, Compartment.CORTEX):
        true, known = truth == code, truth != Compartment.ARTEFACT
        own, other = (dice((c.labels == code) & known, true) for c in (found, rule))
        assert own >= other - 0.02, code.name
