"""The quality part of the Section widget: every check, what it says, and where."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from thymusimg_napari.flags import jump_to, place_of
from thymusimg_napari.layers import ROLE_NAMES
from thymusimg_napari.widgets.parts import button, heading, words
from thymusimg_napari.widgets.row_table import STATUS_COLOURS, RowTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thymusimg_napari.session import Session


class QualityBox(QWidget):
    """The checks of the open section, the worst first."""

    def __init__(self, viewer: Any, session: Session) -> None:
        super().__init__()
        self.viewer, self.session = viewer, session
        self.checks: list[dict[str, Any]] = []
        self.summary = words()
        self.table = RowTable(["", "Check", "Value"], stretch=2)
        self.table.setMinimumHeight(160)
        self.table.opened.connect(self.show_flag)
        self.table.itemSelectionChanged.connect(self._explain)
        self.reason = words()
        self.go = button(viewer, "Show where", "target", self._go, "Also: double-click a row")
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.addWidget(heading("Quality"))
        body.addWidget(self.summary)
        body.addWidget(self.table, 1)
        body.addWidget(self.reason)
        body.addWidget(self.go)

    def refresh(self) -> None:
        """Show the checks of the open section."""
        prepared = self.session.prepared
        rows = [] if prepared is None else prepared.quality.to_dict("records")
        self.checks = [{str(name): value for name, value in row.items()} for row in rows]
        order = {"fail": 0, "warn": 1, "pass": 2}
        self.checks.sort(key=lambda row: order.get(str(row["status"]), 3))
        self.table.fill(
            [(row["status"], _named(row), _value(row)) for row in self.checks],
            tips=[str(row["reason"]) for row in self.checks],
        )
        self.table.colour(0, STATUS_COLOURS)
        tally = {s: sum(row["status"] == s for row in self.checks) for s in order}
        self.summary.setText(
            f"{tally['fail']} fail, {tally['warn']} warn, {tally['pass']} pass. A fail flags; it removes nothing."
            if self.checks
            else "Open the section to see its checks."
        )
        self._explain()

    def _explain(self) -> None:
        chosen = self.table.chosen
        row = self.checks[chosen] if 0 <= chosen < len(self.checks) else None
        self.reason.setText(str(row["reason"]) if row else "")
        self.go.setEnabled(row is not None and place_of(str(row["where"])) is not None)

    def _go(self) -> None:
        self.show_flag(self.table.chosen)

    def show_flag(self, number: int) -> None:
        """Move to the tile that a check complains of."""
        section = self.session.section
        if section is None or not 0 <= number < len(self.checks):
            return
        row = self.checks[number]
        place = place_of(str(row["where"]))
        if place is not None:
            jump_to(self.viewer, section, place, str(row["reason"]))


def _named(check: Mapping[str, Any]) -> str:
    stain = ROLE_NAMES.get(check["channel"], check["channel"])
    return f"{stain} {check['check']}".strip().replace("_", " ")


def _value(check: Mapping[str, Any]) -> str:
    """Return a check's number, short; its reason says the rest."""
    value, unit = float(check["value"]), str(check["unit"])
    if not math.isfinite(value):
        return "not measured"
    return f"{100 * value:.3g} %" if unit.startswith("share") else f"{value:.3g} {unit}"
