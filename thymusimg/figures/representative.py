"""One section a group, chosen by a rule and not by its looks."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.errors import CallError
from thymusimg.figures.request import Look
from thymusimg.figures.sections import side_by_side
from thymusimg.report.finished_run import FinishedRun, numbers
from thymusimg.report.words import counted, label, number
from thymusimg.study.faults import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from thymusimg.figures.save import Drawing


@dataclass(frozen=True)
class Representative:
    """The section that stands for a group.

    Attributes
    ----------
    group, animal, section_id : str
    column : str
        What was compared with the group's median.
    median, animal_value, section_value : float
    animals : int
        Animals of the group with a value.
    """

    group: str
    animal: str
    section_id: str
    column: str
    median: float
    animal_value: float
    section_value: float
    animals: int


def choose_representatives(
    run: FinishedRun, groups: Sequence[str] = (), column: str = ""
) -> tuple[Representative, ...]:
    """Return the section that stands for each group.

    The animal is the one whose value is nearest to the median of its group's animals, the section the one nearest
    to its animal's value; ties go to the first by name. The column is the study's first primary endpoint unless
    another is given.

    Raises
    ------
    CallError
        If there is no such group or column, nothing was declared, or a group has no value.
    """
    chosen = column or (run.primary[0] if run.primary else "")
    animals, sections = run.tables["animals"], run.tables["sections"]
    if not chosen:
        raise CallError(
            f"{run.path}: no primary endpoint was declared, so say by which column a section is to be typical: "
            "--by COLUMN, like --by medulla_fraction"
        )
    check_column(run, chosen)
    for group in groups:
        if group not in run.groups:
            hint = nearest(group, run.groups)
            raise CallError(f"--group {group}: no group of the run{hint}; there are {', '.join(run.groups)}")
    wanted = tuple(dict.fromkeys(groups)) or run.groups
    if not wanted:
        raise CallError(f"{run.path}: a single section has no groups; draw it with 'thymusimg figure section'")
    return tuple(_of_group(animals, sections, group, chosen) for group in wanted)


def representative_figure(
    folder: Path, look: Look | None = None, groups: Sequence[str] = (), column: str = ""
) -> Drawing:
    """Draw one section a group side by side, at one magnification and between the same display limits.

    Parameters
    ----------
    folder : Path
        Folder that a run left.
    look : Look, optional
    groups : sequence of str
        Which, in their order; all of the run without it.
    column : str
        By which a section is typical; the first primary endpoint without it.

    Returns
    -------
    Drawing
        Its caption says the rule, and its record the animals and their values.

    Raises
    ------
    CallError, UnreadableError
        As :func:`choose_representatives` and :func:`~thymusimg.figures.sections.section_figure`.
    """
    found = choose_representatives(FinishedRun.read(folder), groups, column)
    titles = [f"{one.group} (n = {counted(one.animals, 'animal')})" for one in found]
    name = f"representative_{found[0].column}"
    drawing = side_by_side(folder, [one.section_id for one in found], titles, look or Look(), name)
    record = {**drawing.record, "rule": rule(found[0].column), "representatives": [asdict(one) for one in found]}
    return replace(drawing, caption=f"{drawing.caption} {_in_words(found)}", record=record)


def rule(column: str) -> str:
    """Return the rule in words."""
    return (
        f"of each group the animal nearest to the median of its animals in {label(column)} ({column}), and of that "
        "animal the section nearest to its value"
    )


def check_column(run: FinishedRun, column: str) -> None:
    """Refuse a column that no animal has.

    Raises
    ------
    CallError
    """
    animals = run.tables["animals"]
    measured = [name for name in animals.columns if numbers(animals, name).notna().any()]
    if column not in animals:
        raise CallError(
            f"there is no column '{column}' in {run.path / 'tables' / 'animals.csv'}"
            f"{nearest(column, measured) or '; see tables/dictionary.csv for the columns'}"
        )
    if column not in measured:
        raise CallError(f"column '{column}' holds no number for any animal of {run.path}")


def _of_group(animals: pd.DataFrame, sections: pd.DataFrame, group: str, column: str) -> Representative:
    own = animals[animals["group"] == group]
    values = numbers(own, column)
    own, values = own[values.notna()], values[values.notna()]
    if own.empty:
        raise CallError(f"no animal of group '{group}' has a value of {column}; choose another with --by")
    median = float(np.median(values))
    animal, animal_value = _nearest(list(own["animal"]), list(values), median)
    mine = sections[(sections["animal"] == animal) & (sections["group"] == group)]
    of_sections = numbers(mine, column)
    of_sections = of_sections.fillna(float("inf"))
    section_id, section_value = _nearest(list(mine["section_id"]), list(of_sections), animal_value)
    return Representative(group, animal, section_id, column, median, animal_value, section_value, len(own))


def _nearest(names: list[str], values: list[float], target: float) -> tuple[str, float]:
    unit = abs(target) or 1.0

    def far(pair: tuple[str, float]) -> tuple[float, str]:
        # two sections lie equally far from their mean; the last bit of a float may not choose between them
        return round(abs(pair[1] - target) / unit, 9), pair[0]

    name, value = min(zip(names, values, strict=True), key=far)
    return name, float(value)


def _in_words(found: Sequence[Representative]) -> str:
    each = [
        f"{one.section_id} for {one.group} (animal {one.animal}: {number(one.animal_value)}; median of "
        f"{counted(one.animals, 'animal')}: {number(one.median)})"
        for one in found
    ]
    return f"Sections were chosen by a rule, not by eye: {rule(found[0].column)}: {'; '.join(each)}."
