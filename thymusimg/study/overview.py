"""Who is in the study, as plain data for the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thymusimg.section.model import Subject
from thymusimg.study.power import power_sentence
from thymusimg.study.summarise import SUBJECT_TEXT, with_subject

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import pandas as pd

    from thymusimg.settings import StudySettings


@dataclass(frozen=True)
class GroupOverview:
    """One group: its animals and what they share.

    ``sections`` holds the number of measured sections of each animal, in the order of ``animals``;
    ``unmarked_donor`` and ``unmarked_batch`` count animals for which the table names none.
    """

    group: str
    animals: tuple[str, ...]
    sections: tuple[int, ...]
    donors: tuple[str, ...]
    batches: tuple[str, ...]
    timepoints: tuple[str, ...]
    unmarked_donor: int
    unmarked_batch: int
    negative_control: bool

    @property
    def sentence(self) -> str:
        """The group in one sentence."""
        few, many = min(self.sections), max(self.sections)
        each = f"{few} section{'s' if few > 1 else ''}" if few == many else f"{few} to {many} sections"
        parts = [f"{len(self.animals)} animal{'s' if len(self.animals) > 1 else ''}, {each} each"]
        parts.append(_counted("donor", self.donors, self.unmarked_donor))
        parts.append(_counted("batch", self.batches, self.unmarked_batch))
        if self.negative_control:
            parts.append("negative controls of the CD45 gate")
        return f"{self.group}: {'; '.join(parts)}."


@dataclass(frozen=True)
class LeftOut:
    """A section that is in no animal's value, and why."""

    section_id: str
    animal: str
    group: str
    why: str


@dataclass(frozen=True)
class Overview:
    """The design as it was measured."""

    groups: tuple[GroupOverview, ...]
    left_out: tuple[LeftOut, ...]
    caveats: tuple[str, ...]

    @property
    def n_animals(self) -> int:
        """Animals with at least one measured section."""
        return sum(len(group.animals) for group in self.groups)

    @property
    def n_sections(self) -> int:
        """Measured sections that are not excluded."""
        return sum(sum(group.sections) for group in self.groups)


def overview(subjects: Iterable[Subject], measured: Collection[str], settings: StudySettings) -> Overview:
    """Count animals, sections, donors and batches a group, and list what is left out.

    Parameters
    ----------
    subjects
        All rows of the study table, excluded ones too (``[row.subject for row in study.rows]``), or, from tables
        alone, :func:`subjects_of`.
    measured
        Ids of the sections that were measured; those of ``subjects`` that are not among them failed.
    settings
        The declared reference and primary endpoints, for the sentences about power.
    """
    subjects = tuple(subjects)
    used = [one for one in subjects if not one.exclude and one.section_id in measured]
    groups = tuple(
        _group(group, [one for one in used if one.group == group])
        for group in dict.fromkeys(one.group for one in used)
    )
    return Overview(groups, left_out(subjects, measured), tuple(_caveats(groups, settings)))


def left_out(subjects: Iterable[Subject], measured: Collection[str]) -> tuple[LeftOut, ...]:
    """List the sections that are excluded or were not measured, and why."""
    return tuple(
        LeftOut(one.section_id, one.animal, one.group, _why(one))
        for one in subjects
        if one.exclude or one.section_id not in measured
    )


def subjects_of(sections: pd.DataFrame) -> tuple[Subject, ...]:
    """Read the subjects back from ``sections.csv``; excluded and failed sections are not in it."""
    typed = with_subject(sections)
    names = [*SUBJECT_TEXT, "negative_control", "exclude"]
    return tuple(Subject(**dict(zip(names, row, strict=True))) for row in typed[names].itertuples(index=False))


def _group(name: str, subjects: list[Subject]) -> GroupOverview:
    animals = tuple(dict.fromkeys(one.animal for one in subjects))
    return GroupOverview(
        group=name,
        animals=animals,
        sections=tuple(sum(one.animal == animal for one in subjects) for animal in animals),
        donors=_known(one.donor for one in subjects),
        batches=_known(one.batch for one in subjects),
        timepoints=_known(one.timepoint for one in subjects),
        unmarked_donor=len({one.animal for one in subjects if not one.donor}),
        unmarked_batch=len({one.animal for one in subjects if not one.batch}),
        negative_control=all(one.negative_control for one in subjects),
    )


def _caveats(groups: tuple[GroupOverview, ...], settings: StudySettings) -> Iterable[str]:
    by_name = {group.group: group for group in groups}
    reference = by_name.get(settings.reference)
    others = [group for group in groups if group.group != settings.reference]
    if reference is not None:
        tests = max(1, len(settings.primary) * len(others))
        for sizes in dict.fromkeys((len(reference.animals), len(group.animals)) for group in others):
            yield power_sentence(*sizes, tests=tests)
    donors = sorted({donor for group in groups for donor in group.donors})
    if donors and len(donors) <= 3:
        yield (
            f"The human cells come from {len(donors)} donor{'s' if len(donors) > 1 else ''}: "
            "what is found holds for these donors, not for donors in general."
        )
    if any(min(group.sections) != max(group.sections) for group in groups):
        yield "Animals have different numbers of sections; each animal counts once, its sections by their area."


def _why(subject: Subject) -> str:
    if not subject.exclude:
        return "could not be analysed (failures.csv says why)"
    return (
        f"excluded in the study table: {subject.notes}" if subject.notes else "excluded in the study table; no note"
    )


def _known(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))


def _counted(what: str, names: tuple[str, ...], unmarked: int) -> str:
    plural = {"donor": "donors", "batch": "batches"}[what]
    if not names:
        return f"{what} not recorded"
    counted = f"{len(names)} {plural if len(names) > 1 else what} ({', '.join(names)})"
    return f"{counted}, not recorded for {unmarked}" if unmarked else counted
