"""What a person changes is what is measured, and nothing else moves."""

from __future__ import annotations

import numpy as np
import pytest

from thymusimg import Settings, open_section
from thymusimg.compartments.edited import redraw
from thymusimg.compartments.model import Compartment
from thymusimg.errors import CallError
from thymusimg.pipeline import prepare_section

SETTINGS = Settings()


@pytest.fixture(scope="module")
def drawn(slide):
    section = open_section(slide)
    yield prepare_section(section, SETTINGS).compartments
    section.image.close()


def test_the_methods_own_labels_give_its_compartments_again(drawn):
    again = redraw(drawn, drawn.labels.copy(), SETTINGS.compartments)
    for name in ("labels", "tissue", "confidence", "distance_to_cmj_um", "depth_from_capsule_um", "axis"):
        np.testing.assert_array_equal(getattr(again, name), getattr(drawn, name), err_msg=name)
    assert len(again.junction_um) == len(drawn.junction_um)
    for one, other in zip(again.junction_um, drawn.junction_um, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (again.method, again.reasons, again.cuts) == (drawn.method, drawn.reasons, drawn.cuts)


def test_a_painted_islet_is_medulla_with_a_junction_of_its_own(drawn):
    labels = drawn.labels.copy()
    depth = np.where(labels == Compartment.CORTEX, drawn.distance_to_cmj_um, 0)
    cortex = np.argwhere(depth == depth.min())[0]
    y, x = np.indices(labels.shape)
    islet = (np.hypot(y - cortex[0], x - cortex[1]) < 8) & (labels == Compartment.CORTEX)
    labels[islet] = Compartment.MEDULLA
    edited = redraw(drawn, labels, SETTINGS.compartments)
    assert edited.method == "keratin, edited"
    assert (edited.confidence[islet] == 1).all()
    np.testing.assert_array_equal(edited.confidence[~islet], drawn.confidence[~islet])
    assert edited.distance_to_cmj_um[tuple(cortex)] > 0 > drawn.distance_to_cmj_um[tuple(cortex)]
    twice = redraw(edited, edited.labels, SETTINGS.compartments)
    assert twice.method == edited.method


def test_without_medulla_there_is_no_junction_and_a_reason(drawn):
    labels = np.where(drawn.labels == Compartment.MEDULLA, np.uint8(Compartment.CORTEX), drawn.labels)
    edited = redraw(drawn, labels, SETTINGS.compartments)
    assert not edited.junction_um
    assert "no medulla" in edited.reasons["junction"]
    assert np.isnan(edited.distance_to_cmj_um).all()


def test_another_grid_or_code_is_refused(drawn):
    with pytest.raises(CallError, match="grid"):
        redraw(drawn, drawn.labels[1:], SETTINGS.compartments)
    with pytest.raises(CallError, match="label 9"):
        redraw(drawn, np.full_like(drawn.labels, 9), SETTINGS.compartments)
