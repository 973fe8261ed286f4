"""What people changed: who, when, what, why. Original masks are kept beside it, and never written over."""

from __future__ import annotations

import getpass
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from thymusimg.section.store import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

READER_VARIABLE = "THYMUSIMG_READER"
"""Environment variable with the name of the person at the microscope, in place of the login name."""


@dataclass(frozen=True)
class Edit:
    """One change by a person.

    Attributes
    ----------
    number : int
        1, 2, 3 … in the order of the section's edits.
    when : str
        ISO 8601, UTC.
    who : str
    what : str
        A plain phrase: ``painted medulla``, ``deleted 3 cells``.
    target : str
        What was changed: ``compartments``, ``cells``, ``roles``.
    why : str
        What the person gave as the reason; ``""`` where none was given.
    details : mapping
        Plain values: pixels changed, cell ids, before and after.
    """

    number: int
    when: str
    who: str
    what: str
    target: str
    why: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def reader_name() -> str:
    """Return who edits, as the records name them."""
    named = os.environ.get(READER_VARIABLE, "").strip()
    if named:
        return named
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in a container
        return "unknown"


class EditLog:
    """The edits of one section, in order. Undoing is an edit too: nothing is ever taken out.

    Examples
    --------
    >>> log = EditLog(who="reader one")
    >>> log.record("painted medulla", target="compartments", why="K14 net visible", pixels=120).number
    1
    >>> log.of("compartments")[0].details["pixels"], log.of("cells")
    (120, ())
    """

    def __init__(self, entries: Iterable[Edit] = (), *, who: str = "") -> None:
        self._entries = list(entries)
        self.who = who or reader_name()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> tuple[Edit, ...]:
        """All edits, oldest first."""
        return tuple(self._entries)

    def of(self, target: str) -> tuple[Edit, ...]:
        """Return the edits of one target."""
        return tuple(edit for edit in self._entries if edit.target == target)

    def record(self, what: str, *, target: str, why: str = "", **details: Any) -> Edit:
        """Note an edit now."""
        when = datetime.now(UTC).isoformat(timespec="seconds")
        edit = Edit(len(self._entries) + 1, when, self.who, what, target, why, plain(details))
        self._entries.append(edit)
        return edit

    def as_records(self) -> list[dict[str, Any]]:
        """Return plain values, for the bundle, the report and the journal."""
        return [asdict(edit) for edit in self._entries]

    @classmethod
    def from_records(cls, records: Iterable[Mapping[str, Any]], *, who: str = "") -> EditLog:
        """Return the log that :meth:`as_records` gave."""
        return cls((Edit(**record) for record in records), who=who)
