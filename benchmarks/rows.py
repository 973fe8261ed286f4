"""What was measured, a row each, in a CSV file that grows as the benchmark goes on."""

from __future__ import annotations

import csv
import os
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.measure import Cost

FLOOR = "floor: tifffile, 2 threads"
FULL = "thymusimg section"
LEAN = "thymusimg section, lean"
PEER = "plain scikit-image pipeline"
STUDY = "thymusimg run, 8 sections"
APART = "thymusimg section, a process each"
PLAIN_APART = "plain scikit-image pipeline, a process each"


@dataclass(frozen=True)
class Row:
    """One program on one slide; ``load``: the machine's, of the last minute, before the start."""

    what: str
    kind: str
    side: int
    workers: int
    seconds: float
    cpu: float
    peak_gb: float
    load: float

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What tells rows apart."""
        return self.what, self.kind, self.side, self.workers


@dataclass
class Rows:
    """The rows of a file, in the order of their measuring."""

    path: Path
    again: bool = False
    rows: dict[tuple[str, str, int, int], Row] = field(default_factory=dict)
    fresh: set[tuple[str, str, int, int]] = field(default_factory=set)

    @classmethod
    def read(cls, path: Path, *, again: bool = False) -> Rows:
        """Read the rows of an earlier run, if there are any."""
        rows = cls(path, again)
        if path.exists():
            with path.open(encoding="utf-8", newline="") as stream:
                for line in csv.DictReader(stream):
                    row = Row(line["what"], line["kind"], int(line["side"]), int(line["workers"]),
                              *(float(line[name]) for name in ("seconds", "cpu", "peak_gb", "load")))  # fmt: skip
                    rows.rows[row.key] = row
        return rows

    def known(self, what: str, kind: str, side: int, workers: int = 1) -> bool:
        """Whether a row need not be measured."""
        key = (what, kind, side, workers)
        return key in self.fresh or (key in self.rows and not self.again)

    def get(self, what: str, kind: str, side: int, workers: int = 1) -> Row | None:
        """Return a row, or None."""
        return self.rows.get((what, kind, side, workers))

    def measure(self, what: str, kind: str, side: int, work: Callable[[], Cost], workers: int = 1) -> None:
        """Measure a row unless it is known, and put it into the file."""
        if self.known(what, kind, side, workers):
            return
        load = os.getloadavg()[0]
        cost = work()
        row = Row(what, kind, side, workers, *(round(v, 3) for v in (cost.seconds, cost.cpu, cost.peak_gb, load)))
        self.rows[row.key] = row
        self.fresh.add(row.key)
        print(
            f"{what} {kind} {side or ''} workers {workers}: {row.seconds:.2f} s, {row.peak_gb:.2f} GB", flush=True
        )
        self._write()

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, [f.name for f in fields(Row)], lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(row) for row in self.rows.values())
