"""Blinded reading: coded ids, hidden groups, an order drawn from a stored seed; who lifted it, and when. No Qt.

It keeps a reader from seeing what would lean the hand. It is no lock: the slides' names lie on the disk.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from thymusimg.batch.folder import writing
from thymusimg.errors import UnreadableError
from thymusimg.section.model import Subject
from thymusimg_napari.edits import reader_name

if TYPE_CHECKING:
    from pathlib import Path

    from thymusimg.study.model import SectionRow, Study

FILE = "blinding.json"
BLINDED, UNBLINDED = "blinded", "unblinded"


@dataclass(frozen=True)
class Blinding:
    """The codes of a study's sections, and what was done with them.

    Attributes
    ----------
    seed : int
        From which the order was drawn.
    codes : mapping of str to str
        ``section_id`` → code; the codes' order is the order of reading.
    log : tuple of mapping
        Who hid and who lifted it, and when; nothing is ever taken out.

    Examples
    --------
    >>> drawn = Blinding.draw(["a1", "a2", "b1"], seed=4, who="reader one")
    >>> sorted(drawn.codes.values()), drawn.on
    (['blind-01', 'blind-02', 'blind-03'], True)
    >>> drawn.codes == Blinding.draw(["b1", "a1", "a2"], seed=4, who="another").codes
    True
    """

    seed: int
    codes: dict[str, str]
    log: tuple[dict[str, Any], ...] = field(default=())

    @classmethod
    def draw(cls, ids: list[str], *, seed: int | None = None, who: str = "") -> Blinding:
        """Draw codes for sections; without a seed, a new one."""
        seed = secrets.randbits(32) if seed is None else seed
        return cls(seed, _codes(ids, seed, 0)).noted(BLINDED, who=who)

    @property
    def on(self) -> bool:
        """Whether ids and groups are hidden now."""
        return bool(self.log) and self.log[-1]["what"] == BLINDED

    @property
    def ever_lifted(self) -> bool:
        """Whether somebody has seen which section is which since the codes were drawn."""
        return any(entry["what"] == UNBLINDED for entry in self.log)

    def noted(self, what: str, *, who: str = "", why: str = "") -> Blinding:
        """Return it with one more line in its log."""
        entry = {"what": what, "who": who or reader_name(), "when": datetime.now(UTC).isoformat(timespec="seconds")}
        return replace(self, log=(*self.log, entry | ({"why": why} if why else {})))

    def with_all(self, ids: list[str]) -> Blinding:
        """Return it with codes for sections that were added to the table since."""
        new = [name for name in ids if name not in self.codes]
        return replace(self, codes=self.codes | _codes(new, self.seed + len(self.codes), len(self.codes)))

    def write(self, out: Path) -> None:
        """Keep it in a run's folder.

        Raises
        ------
        OutputError
        """
        with writing(out / FILE) as partial:
            partial.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, out: Path | None) -> Blinding | None:
        """Return what a run's folder keeps, or None where it keeps none.

        Raises
        ------
        UnreadableError
            If somebody changed the file: codes that may be wrong are not used.
        """
        if out is None or not (out / FILE).is_file():
            return None
        try:
            found = json.loads((out / FILE).read_text(encoding="utf-8"))
            return cls(int(found["seed"]), dict(found["codes"]), tuple(found["log"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UnreadableError(f"{out / FILE}: cannot be read ({error}); mend it, or take it away") from None


@dataclass(frozen=True)
class Hidden:
    """A study behind its codes.

    Attributes
    ----------
    whole : Study
        The study as its table has it.
    """

    blinding: Blinding
    whole: Study

    @property
    def study(self) -> Study:
        """The study that the reader sees: codes for ids, no groups, in the drawn order, no excluded sections."""
        known = {row.section_id: row for row in self.whole.analysed}
        rows = tuple(coded(known[name], code) for name, code in self.blinding.codes.items() if name in known)
        return replace(self.whole, rows=rows, warnings=(), table=None)

    def true_row(self, row: SectionRow) -> SectionRow:
        """Return the row of the study table behind a coded one; a row that is none of its stays what it is."""
        names = {code: name for name, code in self.blinding.codes.items()}
        name = names.get(row.section_id)
        found = next((one for one in self.whole.rows if one.section_id == name), None)
        # channels and the pixel size may have been settled in the window
        return row if found is None else replace(row, subject=found.subject)


def hide(study: Study, out: Path, *, who: str = "") -> Hidden:
    """Hide a study: with the codes of its results folder where there are any, else with new ones; note it there."""
    ids = [row.section_id for row in study.analysed]
    found = Blinding.read(out)
    if found is None:
        blinding = Blinding.draw(ids, who=who)
    else:
        blinding = found.with_all(ids)
        blinding = blinding if blinding.on else blinding.noted(BLINDED, who=who)
    blinding.write(out)
    return Hidden(blinding, study)


def lift(hidden: Hidden, out: Path, *, who: str = "", why: str = "") -> Study:
    """Show which section is which, note who asked for it, and return the study as its table has it."""
    hidden.blinding.noted(UNBLINDED, who=who, why=why).write(out)
    return hidden.whole


def coded(row: SectionRow, code: str) -> SectionRow:
    """Return a row under its code, without anything that the table says of the animal."""
    return replace(row, subject=Subject(code), annotation=None, number=0)


def _codes(ids: list[str], seed: int, first: int) -> dict[str, str]:
    ordered = sorted(ids)  # the order of the table is often that of the groups
    drawn = [ordered[i] for i in np.random.default_rng(seed).permutation(len(ordered))]
    return {name: f"blind-{first + number:02d}" for number, name in enumerate(drawn, start=1)}
