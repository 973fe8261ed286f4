"""Everything that is wrong with a study table, collected and said at once."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thymusimg.errors import StudyTableError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path


@dataclass
class Faults:
    """A list of faults that grows while the table is read, and is raised in the end."""

    table: Path
    _rows: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def add(self, message: str, column: str = "", row: int | Iterable[int] = ()) -> None:
        """Note a fault; the same fault of the same column in several rows becomes one line."""
        rows = self._rows.setdefault((column, message), [])
        rows.extend([row] if isinstance(row, int) else row)

    def __len__(self) -> int:
        return len(self._rows)

    def raise_any(self) -> None:
        """Raise all faults, if there are any.

        Raises
        ------
        StudyTableError
            One line a fault, with row (the header is row 1) and column.
        """
        if not self._rows:
            return
        order = sorted(self._rows.items(), key=lambda item: min(item[1], default=0))
        lines = [f"  {_where(rows, column)}{message}" for (column, message), rows in order]
        count = "1 fault" if len(lines) == 1 else f"{len(lines)} faults"
        raise StudyTableError("\n".join([f"{self.table}: {count}; nothing was run (the header is row 1)", *lines]))


def nearest(word: str, known: Collection[str]) -> str:
    """Return ``", did you mean 'x'?"`` for the known word most like ``word``, or ``""``.

    Examples
    --------
    >>> nearest("grup", ["animal", "group"])
    ", did you mean 'group'?"
    """
    by_folded = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return f", did you mean '{by_folded[found[0]]}'?" if found else ""


def ranges(numbers: Iterable[int]) -> str:
    """Write row numbers shortly.

    Examples
    --------
    >>> ranges([2, 3, 4, 7])
    '2-4, 7'
    """
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _where(rows: list[int], column: str) -> str:
    parts = []
    if rows:
        parts.append(f"row{'s' if len(set(rows)) > 1 else ''} {ranges(rows)}")
    if column:
        parts.append(f"column '{column}'")
    return f"{', '.join(parts)}: " if parts else ""
