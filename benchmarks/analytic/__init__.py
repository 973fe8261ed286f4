"""Every metric on a shape whose answer is known: held by the tests, shown in ``docs/analytic.md``."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.analytic.case import Case


def every_case() -> tuple[Case, ...]:
    """Return the cases of every module of this folder, by metric."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in {"case", "__main__"})
    found = [case for name in names for case in importlib.import_module(f"{__name__}.{name}").CASES]
    return tuple(sorted(found, key=_by_metric))


def _by_metric(case: Case) -> tuple[int, int, str]:
    first = case.metric.split()[0]
    kind = {"R": 0, "P": 1}.get(first[0], 2)
    return kind, int("".join(c for c in first if c.isdigit()) or 0), case.column
