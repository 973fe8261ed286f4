"""The map of compartments under a person's hand: what the method drew, what it is now, and undo. No Qt."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.compartments.model import Compartment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from thymusimg.compartments.model import Compartments
    from thymusimg.section.model import LabelPlane
    from thymusimg.settings import Settings

    Box = tuple[slice, slice]

MOST_STEPS = 100
MOST_BYTES = 500_000_000
"""Steps that can be undone: so many, and no more memory than this."""


@dataclass(frozen=True)
class Source:
    """What a method drew, and the settings that it was drawn with."""

    drawn: Compartments
    settings: Settings
    _rounded: list[LabelPlane] = field(default_factory=list, repr=False, compare=False)

    def confidence_percent(self) -> LabelPlane:
        """Return the method's confidence in whole percents, the same array at every call; for another thread."""
        if not self._rounded:
            self._rounded.append(np.round(100 * self.drawn.confidence).astype(np.uint8))
        return self._rounded[0]


@dataclass(frozen=True)
class Change:
    """One step: what the labels were and are inside a box, and whose they were and are."""

    what: str
    box: Box
    before: LabelPlane
    after: LabelPlane
    source_before: Source
    source_after: Source

    @property
    def pixels(self) -> int:
        """How many pixels changed."""
        return int(np.count_nonzero(self.before != self.after))

    @property
    def codes(self) -> tuple[int, ...]:
        """What pixels became, commonest first."""
        codes, counts = np.unique(self.after[self.before != self.after], return_counts=True)
        return tuple(int(code) for code in codes[np.argsort(-counts, kind="stable")])


class EditedMap:
    """Labels that are painted in place, with undo.

    Attributes
    ----------
    labels : (Y, X) uint8
        What the layer shows; painters write into it and then call :meth:`took`.
    source : Source
        What the method drew.
    """

    def __init__(self, source: Source, labels: LabelPlane) -> None:
        self.source = source
        self.labels = np.ascontiguousarray(labels, np.uint8)
        self._known = self.labels.copy()
        self._done: deque[Change] = deque(maxlen=MOST_STEPS)
        self._undone: list[Change] = []

    @property
    def edited(self) -> bool:
        """Whether the labels are no longer the method's."""
        return not np.array_equal(self.labels, self.source.drawn.labels)

    @property
    def can_undo(self) -> str:
        """What undo would take back, or ""."""
        return self._done[-1].what if self._done else ""

    @property
    def can_redo(self) -> str:
        """What redo would do again, or ""."""
        return self._undone[-1].what if self._undone else ""

    def took(self, what: str, box: Box | None = None) -> Change | None:
        """Take note that the labels were painted inside ``box`` (anywhere, if None); None if nothing changed."""
        box = self._changed_box(box)
        return None if box is None else self._note(what, box, self.source)

    def put(self, what: str, labels: LabelPlane, source: Source | None = None) -> Change | None:
        """Write other labels in place of these, a correction or another method's; None if nothing changed."""
        self.labels[...] = labels
        box = self._changed_box(None)
        if box is None and (source is None or source is self.source):
            return None
        return self._note(what, box or (slice(0, 0), slice(0, 0)), source or self.source)

    def undo(self) -> Change | None:
        """Take the last step back."""
        if not self._done:
            return None
        change = self._done.pop()
        self._undone.append(change)
        self._write(change.box, change.before, change.source_before)
        return change

    def redo(self) -> Change | None:
        """Do again what was undone."""
        if not self._undone:
            return None
        change = self._undone.pop()
        self._done.append(change)
        self._write(change.box, change.after, change.source_after)
        return change

    def _write(self, box: Box, values: LabelPlane, source: Source) -> None:
        self.labels[box] = values
        self._known[box] = values
        self.source = source

    def _note(self, what: str, box: Box, source: Source) -> Change:
        change = Change(what, box, self._known[box].copy(), self.labels[box].copy(), self.source, source)
        self._known[box] = self.labels[box]
        self.source = source
        self._done.append(change)
        self._undone.clear()
        while len(self._done) > 1 and sum(c.before.nbytes + c.after.nbytes for c in self._done) > MOST_BYTES:
            self._done.popleft()
        return change

    def _changed_box(self, box: Box | None) -> Box | None:
        whole = box or (slice(0, self.labels.shape[0]), slice(0, self.labels.shape[1]))
        differs = self.labels[whole] != self._known[whole]
        rows, cols = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
        if len(rows) == 0:
            return None
        top, left = (part.indices(n)[0] for part, n in zip(whole, self.labels.shape, strict=True))
        return (
            slice(top + int(rows[0]), top + int(rows[-1]) + 1),
            slice(left + int(cols[0]), left + int(cols[-1]) + 1),
        )


def painted_box(atoms: Iterable[Any]) -> Box | None:
    """Return the box of a stroke from what napari's ``paint`` event tells; None where it does not say."""
    boxes = [_box_of(atom) for atom in atoms]
    known = [box for box in boxes if box is not None]
    if not known or len(known) < len(boxes):
        return None
    rows, cols = zip(*known, strict=True)
    return _union(rows), _union(cols)


def _box_of(atom: Any) -> Box | None:
    key = getattr(atom, "slice_key", None)
    if key is not None and len(key) == 2 and all(isinstance(part, slice) for part in key):
        return key[0], key[1]
    if isinstance(atom, tuple) and atom and isinstance(atom[0], tuple) and len(atom[0]) == 2:
        rows, cols = (np.asarray(part) for part in atom[0])
        if rows.size:
            return slice(int(rows.min()), int(rows.max()) + 1), slice(int(cols.min()), int(cols.max()) + 1)
    return None


def _union(parts: Iterable[slice]) -> slice:
    found = list(parts)
    return slice(min(part.start for part in found), max(part.stop for part in found))


def class_name(code: int) -> str:
    """Return what people call a label."""
    return Compartment(code).name.lower()
