"""The Section widget: open a slide or pick one from a study, settle stains and pixel size, see what is flagged."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QFormLayout, QGridLayout, QLabel, QLineEdit

from thymusimg.channels.roles import NEEDED
from thymusimg.section.model import ROLES
from thymusimg.section.pixel_size import LARGEST_UM, SMALLEST_UM
from thymusimg.study.design import load_study
from thymusimg_napari import jobs, openings
from thymusimg_napari.layers import ROLE_NAMES, Purpose, find_all, record
from thymusimg_napari.saving import bundle_of
from thymusimg_napari.shown import show_limits, show_section
from thymusimg_napari.widgets.parts import (
    Panel,
    PathField,
    button,
    heading,
    side_by_side,
    words,
)
from thymusimg_napari.widgets.quality import QualityBox

if TYPE_CHECKING:
    from thymusimg.section.model import Section
    from thymusimg.study.model import SectionRow, Study
    from thymusimg_napari.openings import Checked, Looked

NONE = "— none —"


class SectionWidget(Panel):
    """Open or pick a section, and settle what the engine will not guess."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer, "Section")
        self.looked: Looked | None = None
        self._rows: tuple[SectionRow, ...] = ()
        self._add_sources()
        self._add_decisions()
        self.quality = QualityBox(self.viewer, self.session)
        self.body.addWidget(self.quality, 1)
        self.listen(self.session.section_changed, self._show_open)
        self.listen(self.session.prepared_changed, self.quality.refresh)
        self.listen(self.session.study_changed, self._show_study)
        self._show_study()
        self._take_shown()
        self._show_open()
        self.quality.refresh()

    def _add_sources(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self.slide = PathField(self.viewer, caption="Open a slide", hint="slide: OME-TIFF, CZI, ND2, LIF …")
        self.slide.chosen.connect(lambda path: self.look_at(openings.lone_row(Path(path), **self._choice())))
        self.study = PathField(
            self.viewer,
            caption="Open a study",
            hint="study.toml or study table (CSV)",
            files="Study (*.toml *.csv)",
        )
        self.study.chosen.connect(self._open_study)
        self.pick = QComboBox()
        self.pick.activated.connect(self._picked)
        self.shown = button(
            self.viewer,
            "Use the slide that is shown",
            "target",
            self._use_shown,
            "The slide opened with File > Open",
        )
        form.addRow("Slide", self.slide)
        form.addRow("Study", self.study)
        form.addRow("Section", self.pick)
        self.body.addLayout(form)
        self.body.addWidget(self.shown)
        self.scene = QLineEdit()
        self.scene.setPlaceholderText("name or number")
        self.projection = QComboBox()
        self.projection.addItems([NONE, "max", "mean"])
        self._optional = side_by_side(QLabel("Scene"), self.scene, QLabel("Stack"), self.projection)
        self._optional.setToolTip("Only where the file holds several scenes or a z-stack")
        self._optional.hide()
        self.body.addWidget(self._optional)

    def _add_decisions(self) -> None:
        self.facts = words()
        self.body.addWidget(self.facts)
        self.body.addWidget(heading("Stains"))
        grid = QGridLayout()
        grid.setColumnStretch(1, 1)
        self.roles: dict[str, QComboBox] = {}
        self.whys: dict[str, QLabel] = {}
        for row, role in enumerate(ROLES):
            self.roles[role] = QComboBox()
            self.roles[role].activated.connect(lambda _index, role=role: self._mapped(role))
            self.whys[role] = words()
            grid.addWidget(QLabel(ROLE_NAMES[role]), 2 * row, 0)
            grid.addWidget(self.roles[role], 2 * row, 1)
            grid.addWidget(self.whys[role], 2 * row + 1, 0, 1, 2)
        self.body.addLayout(grid)
        self.pixel_size = QDoubleSpinBox()
        self.pixel_size.setDecimals(5)
        self.pixel_size.setRange(0.0, LARGEST_UM)
        self.pixel_size.setSingleStep(0.01)
        self.pixel_size.setSuffix(" µm")
        self.pixel_size.setSpecialValueText("not known")
        self.pixel_size.valueChanged.connect(lambda _value: self._judge())
        self.size_why = words()
        self.body.addWidget(heading("Pixel size"))
        self.body.addWidget(self.pixel_size)
        self.body.addWidget(self.size_why)
        self.missing = words()
        self.open = button(self.viewer, "Open section", "run", self.open_section, "Opens, surveys and checks it")
        self.body.addWidget(self.missing)
        self.body.addWidget(self.open)

    # --- where a section comes from

    def look_at(self, row: SectionRow) -> None:
        """Read what a slide's metadata say, and propose."""
        self.run(
            "Looking at the slide", lambda _progress: openings.look(row), self._show_looked, failed=self._refused
        )

    def _choice(self) -> dict[str, str | None]:
        stack = self.projection.currentText()
        return {"scene": self.scene.text().strip() or None, "projection": None if stack == NONE else stack}

    def _refused(self, error: BaseException) -> None:
        # what must be chosen can be chosen now; the notification says which
        if type(error).__name__ in ("SceneError", "ProjectionError"):
            self._optional.show()

    def _open_study(self, path: str) -> None:
        self.run("Reading the study", lambda _progress: load_study(Path(path)), self._studied)

    def _studied(self, study: Study) -> None:
        self.session.set_study(study)

    def _show_study(self) -> None:
        study = self.session.study
        self._rows = study.rows if study else ()
        self.pick.clear()
        self.pick.addItem("pick a section …" if study else "no study is open")
        self.pick.addItems([row.section_id for row in self._rows])
        self.pick.setEnabled(bool(self._rows))
        if study is not None and self.study.path is None:
            self.study.set_path(str(study.table or study.folder))

    def _picked(self, index: int) -> None:
        if 0 < index <= len(self._rows):
            self.look_at(self._rows[index - 1])

    def _take_shown(self) -> None:
        """Look at the slide that File > Open has shown, if there is just one."""
        if self.session.section is None and len(self._shown_paths()) == 1:
            self._use_shown()

    def _shown_paths(self) -> list[str]:
        paths = [record(layer).get("path") for layer in find_all(self.viewer.layers, Purpose.STAIN)]
        return list(dict.fromkeys(str(path) for path in paths if path))

    def _use_shown(self) -> None:
        active = self.viewer.layers.selection.active
        own = record(active).get("path") if active is not None else None
        paths = [str(own)] if own else self._shown_paths()
        if not paths:
            self.facts.setText("No slide is shown: open one with File &gt; Open, or above.")
            return
        self.slide.set_path(paths[-1])
        self.look_at(openings.lone_row(Path(paths[-1]), **self._choice()))

    # --- what must be settled

    def _show_looked(self, looked: Looked) -> None:
        self.looked = looked
        facts = [f"<b>{looked.row.section_id}</b>", *(f"{name}: {value}" for name, value in looked.facts)]
        facts += [f"⚠ {warning}" for warning in looked.warnings]
        self.facts.setText("<br>".join(facts))
        for role, box in self.roles.items():
            box.clear()
            box.addItem(NONE, None)
            for channel, name in enumerate(looked.proposal.channels):
                box.addItem(f"{channel}  {name or '(no name)'}", channel)
            finding = looked.proposal.findings[role]
            given = looked.row.channels.get(role)
            chosen = finding.channel if given is None else _channel(given, looked.proposal.channels)
            box.setCurrentIndex(0 if chosen is None else chosen + 1)
            self.whys[role].setText(_small(finding.why if given is None else "from the study table"))
        self._given: set[str] = set()
        self.pixel_size.setValue(looked.pixel_size_um or 0.0)
        self.size_why.setText(_small(looked.pixel_size_why))
        self._judge()

    def _mapped(self, role: str) -> None:
        self._given.add(role)
        self.whys[role].setText(_small("mapped by you"))
        self._judge()

    def _judge(self) -> None:
        """Say what is still missing; the button opens when nothing is."""
        missing = []
        if self.looked is not None:
            missing = [ROLE_NAMES[r] for r in NEEDED if self.roles[r].currentData() is None]
            if self.pixel_size.value() < SMALLEST_UM:
                missing.append("the pixel size")
        self.missing.setText(f"Still to say: {', '.join(missing)}." if missing else "")
        self.open.setEnabled(self.looked is not None and not missing)

    def decision(self) -> SectionRow | None:
        """Return how the section is to be opened, or None while nothing was looked at."""
        if self.looked is None:
            return None
        findings = self.looked.proposal.findings
        channels: dict[str, str | int] = {}
        for role, box in self.roles.items():
            chosen = box.currentData()
            if role in self._given or findings[role].problem:
                channels[role] = "none" if chosen is None else int(chosen)
        size = self.pixel_size.value()
        by_hand = not math.isclose(size, self.looked.pixel_size_um or 0.0, abs_tol=1e-5)
        return openings.decided(self.looked.row, channels, size if by_hand else self.looked.row.pixel_size_um)

    # --- opening it

    def open_section(self) -> None:
        """Open the section with what was settled."""
        row = self.decision()
        if row is not None:
            self.run(
                "Opening", lambda _progress: openings.open_now(row), lambda section: self._opened(row, section)
            )

    def _opened(self, row: SectionRow, section: Section) -> None:
        before = self.session.section_id
        self.session.open_section(row, section)
        show_section(self.viewer, section, replacing=before)
        settings = self.session.settings
        bundle = bundle_of(self.session, row)
        self.run("Checking", lambda progress: openings.check(section, settings, progress, bundle), self._checked)

    def _checked(self, checked: Checked) -> None:
        prepared = checked.prepared
        if prepared.section is self.session.section:
            self.session.set_prepared(prepared)
            show_limits(self.viewer, prepared.section, prepared.survey.limits)
            jobs.warn(checked.note)

    def _show_open(self) -> None:
        section = self.session.section
        self._judge()
        if section is not None:
            self.viewer.title = f"thymusimg · {section.section_id}"


def _channel(given: str | int, names: tuple[str, ...]) -> int | None:
    text = str(given).strip().casefold()
    lowered = [name.strip().casefold() for name in names]
    if text in lowered:
        return lowered.index(text)
    return int(text) if text.isdecimal() and int(text) < len(names) else None


def _small(text: str) -> str:
    return f"<small>{text}</small>"
