"""The Measure widget."""

from __future__ import annotations

from typing import Any

from thymusimg_napari.widgets.parts import Panel, words


class MeasureWidget(Panel):
    """Measure of the open section."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer, "Measure")
        self.body.addWidget(words("Open a section in the Section widget first."))
        self.body.addStretch(1)
