"""What the method drew stays at hand while a person edits."""

from __future__ import annotations

import numpy as np

from thymusimg import open_section
from thymusimg.compartments.edited import redraw
from thymusimg.compartments.model import Compartment
from thymusimg.settings import Settings


def test_the_first_edit_leaves_the_method_s_own_map(slide):
    from thymusimg_napari.openings import check
    from thymusimg_napari.session import Session

    session, settings = Session(), Settings()
    prepared = check(open_section(slide), settings, lambda _stage, _fraction: None).prepared
    session.set_prepared(prepared)
    assert session.original is None
    drawn = prepared.compartments
    for code in (Compartment.CORTEX, Compartment.ARTEFACT):
        labels = np.where(drawn.labels == Compartment.MEDULLA, np.uint8(code), drawn.labels)
        session.set_compartments(redraw(drawn, labels, settings.compartments))
        assert session.original is drawn
        assert session.prepared.compartments.method == "keratin, edited"
    session.set_compartments(redraw(drawn, drawn.labels, settings.compartments))
    assert session.original is None
    prepared.section.image.close()
