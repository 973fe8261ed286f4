"""The review's part of the Cells widget: step through cells, change them with one key each."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QLineEdit, QVBoxLayout, QWidget

from thymusimg_napari import jobs
from thymusimg_napari.cell_drawing import LineDrawing
from thymusimg_napari.cell_editing import CellEditor, Change
from thymusimg_napari.layers import Purpose, find_all
from thymusimg_napari.reviewing import Review, place_of_cell
from thymusimg_napari.widgets.parts import button, words

if TYPE_CHECKING:
    from collections.abc import Callable

    from thymusimg_napari.cell_editing import Changed
    from thymusimg_napari.cells_shown import CellsShown
    from thymusimg_napari.session import Session

KEYS = {
    "N": "next cell", "B": "back", "A": "add at the cursor", "D": "delete", "S": "split in two",
    "M": "merge with the one under the cursor", "U": "undo", "Alt+drag": "outline a new cell",
    "Shift+drag": "cut along a line",
}  # fmt: skip
"""What the keys do in review; click a cell to mark it."""


class ReviewBox(QWidget):
    """Marks one cell after the other and changes them; ``edited`` is emitted after every change."""

    edited = Signal()

    def __init__(self, viewer: Any, session: Session, shown: CellsShown) -> None:
        super().__init__()
        self.viewer, self.session, self.shown = viewer, session, shown
        self.editor, self.review = CellEditor(session), Review()
        self._waiting: deque[Callable[[], Change | None]] = deque()
        self._busy = False
        self.says = words()
        self.start = button(
            viewer, "Review", "target", self._toggle, "Step through the cells, the least sure first"
        )
        self.start.setCheckable(True)
        self.why = QLineEdit()
        self.why.setPlaceholderText("why (kept with every change)")
        self.why.textChanged.connect(lambda text: setattr(self.editor, "why", text.strip()))
        self.actions: dict[str, Callable[[], None]] = {
            "N": lambda: self.step(1), "B": lambda: self.step(-1), "A": self.add, "D": self.delete,
            "S": self.split, "M": self.merge, "U": self.undo,
        }  # fmt: skip
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.start)
        layout.addWidget(self.says)
        grid = QGridLayout()
        self.buttons = {
            "B": button(viewer, "Back", "previous", self.actions["B"], "B"),
            "N": button(viewer, "Next", "next", self.actions["N"], "N"),
            "D": button(viewer, "Delete", "cancel", self.actions["D"], "D: the marked cell"),
            "S": button(viewer, "Split", "split", self.actions["S"], "S: the marked cell; Shift+drag cuts by hand"),
            "U": button(viewer, "Undo", "undo", self.actions["U"], "U"),
        }
        for index, made in enumerate(self.buttons.values()):
            grid.addWidget(made, index // 3, index % 3)
        layout.addLayout(grid)
        layout.addWidget(self.why)
        self._drawing = LineDrawing(viewer, self.start.isChecked, self._drawn)
        shown.marked.connect(self._marked)
        shown.picked.connect(self._picked)
        self.destroyed.connect(lambda: self._leave_window())
        self.refresh()

    # --- stepping

    def refresh(self) -> None:
        """Show what can be done now."""
        cells = self.editor.cells
        self.start.setEnabled(cells is not None)
        if cells is None:
            self._stop()
        for key, made in self.buttons.items():
            marked = key not in "DS" or bool(self.shown.current)
            made.setEnabled(cells is not None and marked and (key != "U" or self.editor.undoable > 0))
        self._say()

    def begin_anew(self) -> None:
        """Forget what was looked at and what could be undone: other cells were found."""
        self.editor.forget()
        self.review.forget()
        self._waiting.clear()
        if self.start.isChecked() and self.editor.cells is not None:
            self.review.start(self.editor.cells)
        self.refresh()

    def step(self, by: int) -> None:
        """Mark the next cell that was not looked at yet, or go back."""
        cells = self.editor.cells
        if cells is None:
            return
        if not self.start.isChecked():
            self.start.setChecked(True)
            self._begin()
            return
        number = self.review.step(cells, by)
        if number:
            self.shown.go_to(number)
            self._take_keys()
        else:
            self.shown.mark(0)
        self.refresh()

    def _toggle(self) -> None:
        if self.start.isChecked():
            self._begin()
        else:
            self._stop()
        self.refresh()

    def _begin(self) -> None:
        cells = self.editor.cells
        if cells is None:
            return
        self.review.start(cells)
        for key, action in self.actions.items():
            self.viewer.bind_key(key, _called(action), overwrite=True)
        self._take_keys()
        self.step(1)

    def _stop(self) -> None:
        self.start.setChecked(False)
        self._release_keys()

    def _release_keys(self) -> None:
        for key in self.actions:
            self.viewer.bind_key(key, None)

    def _take_keys(self) -> None:
        """Select a stain: other kinds of layers have keys of their own, which would go first."""
        stains = find_all(self.viewer.layers, Purpose.STAIN, self.session.section_id)
        if stains and self.viewer.layers.selection.active not in stains:
            self.viewer.layers.selection.active = stains[-1]
        self.viewer.window._qt_viewer.canvas.native.setFocus()  # noqa: SLF001  napari has no public way

    # --- changing

    def add(self) -> None:
        """Add a cell of the usual size at the cursor."""
        place = self._cursor()
        self._ask(lambda: Change("add", 0, (place,)))

    def delete(self) -> None:
        """Delete the marked cell and go on to the next."""
        self._ask(lambda: self._about("delete"))

    def split(self) -> None:
        """Split the marked cell where shape and membrane say."""
        self._ask(lambda: self._about("split"))

    def merge(self) -> None:
        """Merge the marked cell with the one under the cursor."""
        place = self._cursor()
        self._ask(lambda: self._about("merge", place))

    def undo(self) -> None:
        """Take back the last change."""

        def back() -> None:
            undone = self.editor.undo()
            if undone is not None:
                about = undone.change.cell_id
                # the cell as it was before the change is marked again; a new one is no more
                self.shown.mark(self.shown.at(place_of_cell(undone.before, about)) if about else 0)
                self.edited.emit()

        self._ask(back)

    def _about(self, what: str, *places: tuple[float, float]) -> Change | None:
        return Change(what, self.shown.current, places) if self.shown.current else None

    def _cursor(self) -> tuple[float, float]:
        y, x = self.viewer.cursor.position[-2:]
        return float(y), float(x)

    def _ask(self, make: Callable[[], Change | None]) -> None:
        """Change the cells after what was asked for before; a key pressed twice is two changes."""
        if self.editor.cells is not None:
            self._waiting.append(make)
            self._next()

    def _next(self) -> None:
        while self._waiting and not self._busy:
            change = self._waiting.popleft()()
            if change is None:
                continue
            work = self.editor.begin(change)
            self._busy = True
            jobs.start(work, title="Editing", done=self._done, failed=self._failed)
        self.refresh()

    def _done(self, changed: Changed) -> None:
        self._busy = False
        self.editor.finish(changed)
        change = changed.change
        if change.what == "delete":
            self.shown.mark(0)
            if self.start.isChecked():
                self.step(1)
        else:
            near = change.places[0] if change.places and change.what in ("add", "merge") else None
            if near is None:
                near = (
                    _middle(change) if change.what == "outline" else place_of_cell(changed.before, change.cell_id)
                )
            self.shown.mark(self.shown.at(near))
        self.edited.emit()
        self._next()

    def _failed(self, _error: BaseException) -> None:
        self._busy = False
        self._next()

    # --- the mouse

    def _picked(self, number: int) -> None:
        if number:
            self.shown.mark(number)

    def _marked(self, _number: int) -> None:
        self.refresh()

    def _drawn(self, held: str, line: list[tuple[float, float]]) -> None:
        if held == "Alt":
            self._ask(lambda: Change("outline", 0, tuple(line)))
        else:
            middle = line[len(line) // 2]
            self._ask(lambda: self._cut(line[0], line[-1], middle))

    def _cut(
        self, start: tuple[float, float], end: tuple[float, float], middle: tuple[float, float]
    ) -> Change | None:
        number = self.shown.at(((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)) or self.shown.at(middle)
        number = number or self.shown.current
        return Change("cut", number, (start, end)) if number else None

    def _say(self) -> None:
        cells, current = self.editor.cells, self.shown.current
        if cells is None:
            self.says.setText("Find cells first.")
            return
        said = []
        if self.start.isChecked():
            done = self.review.seen >= self.review.total
            said.append(f"{self.review.seen} of {self.review.total} looked at" + (": all" if done else ""))
        if current and current <= len(cells.table):
            row = cells.table.iloc[current - 1]
            score = f"score {row['score']:.2f}" if row["score"] == row["score"] else "no score"
            said.append(f"cell {current}: {score}, {row['area_um2']:.0f} µm², {row.get('compartment', '')}")
        self.says.setText("; ".join(said) or "Click a cell to mark it.")

    def _leave_window(self) -> None:
        self._drawing.leave()
        self._release_keys()


def _called(action: Callable[[], None]) -> Callable[[Any], None]:
    return lambda _viewer: action()


def _middle(change: Change) -> tuple[float, float]:
    return (
        sum(y for y, _ in change.places) / len(change.places),
        sum(x for _, x in change.places) / len(change.places),
    )
