"""The report: one HTML file, built from a run folder alone, that opens anywhere without a network."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thymusimg.errors import OutputError
from thymusimg.report.answer import exploratory_lead, questions, read_contrasts, why_no_answer
from thymusimg.report.cards import Card, build_cards, families, shown_number
from thymusimg.report.caveats import CAVEATS, control_caveats
from thymusimg.report.checklists import checklists
from thymusimg.report.curves import draw_curve_figures
from thymusimg.report.edited import edited_caveats
from thymusimg.report.figures import GROUP_COLOURS, draw_group_figures, figure_columns
from thymusimg.report.finished_run import FinishedRun
from thymusimg.report.headline import headline
from thymusimg.report.methods import design_sentences, write_methods
from thymusimg.report.record import NOT_RECORDED, provenance, settings_table
from thymusimg.report.references import references
from thymusimg.report.robustness import HOW, read_checks, sensitivity_lines
from thymusimg.report.viewer import viewer_colours
from thymusimg.report.words import bare_p, counted, label, listed, unit_of

if TYPE_CHECKING:
    from collections.abc import Iterable

TEMPLATE = "report.html.j2"
MOST_NAMED = 8
LONGEST_TITLE = 60
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
SIZE = "@size-of-this-file@"
SCRIPTS = ("report.js", "viewer.js")


def write_report(run_dir: Path) -> Path:
    """Write ``run_dir/report.html`` from the tables, pictures and record in ``run_dir``.

    Parameters
    ----------
    run_dir : Path
        What ``thymusimg run`` or ``thymusimg section`` left. Pictures, ``run.json`` and every table but
        ``sections.csv`` may be missing; the report says so.

    Returns
    -------
    Path
        The report. It is written whole or not at all.

    Raises
    ------
    CallError
        If ``run_dir`` is not a run folder.
    OutputError
        If the report cannot be written.
    """
    page = render(FinishedRun.read(run_dir))
    target = run_dir / "report.html"
    try:
        handle, name = tempfile.mkstemp(dir=run_dir, prefix=".report-", suffix=".html")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(page)
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except OSError as error:
        raise OutputError(f"{target}: the report cannot be written ({error.strerror or error})") from None
    return target


def render(run: FinishedRun) -> str:
    """Return the report of a run as HTML; every text that comes from a file is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("thymusimg.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    contrasts = read_contrasts(run) if run.grouped else []
    figures = draw_group_figures(run) if run.grouped else []
    cards = build_cards(run)
    scripts = "".join(_template_file(name) for name in SCRIPTS)
    dictionary = _records(run, "dictionary")
    households = families(cards, run.grouped)
    page = environment.get_template(TEMPLATE).render(
        run=run,
        grouped=run.grouped,
        title=_title(run, len(cards)),
        summary=_summary(run, len(cards)),
        synthetic=bool(run.record.get("synthetic")),
        headline=headline(contrasts),
        made=made(run),
        questions=questions(contrasts),
        no_answer=why_no_answer(run, contrasts),
        lead=exploratory_lead(contrasts) if not run.primary else [],
        contrasts=contrasts,
        notes=list(dict.fromkeys(note for c in contrasts for note in c.notes)),
        primary_notes=len(dict.fromkeys(note for c in contrasts if c.primary for note in c.notes)),
        # matplotlib escapes the texts of its figures, figures.py the titles that it adds.
        figures=[(figure, Markup(figure.svg)) for figure in figures],  # noqa: S704
        curves=[(figure, Markup(figure.svg)) for figure in draw_curve_figures(run)] if run.grouped else [],  # noqa: S704
        checks=read_checks(run) if run.grouped else [],
        sensitivity=sensitivity_lines(run) if run.grouped else [],
        how_to_vary=HOW,
        animals=_animals(run) if run.grouped else ([], [], []),
        cards=cards,
        families=households,
        animal_places={family.animal: i for i, family in enumerate(households, 1) if family.animal},
        quality_words=quality_words(cards),
        colours={group: GROUP_COLOURS[i % len(GROUP_COLOURS)] for i, group in enumerate(run.groups)},
        failures=_records(run, "failures"),
        exclusions=_listed((run.study or {}).get("exclusions")),
        controls=_listed((run.study or {}).get("negative_controls")),
        design=design_sentences(run) if run.grouped else ([], []),
        methods=write_methods(run),
        caveats=(*edited_caveats(run), *control_caveats(run), *CAVEATS),
        provenance=provenance(run),
        settings=settings_table(run),
        inputs=[i for i in run.record.get("inputs") or [] if isinstance(i, dict)],
        dictionary=dictionary,
        places=definition_places(dictionary),
        references=references(run),
        checklists=checklists(run),
        viewer_colours=viewer_colours(),
        not_recorded=NOT_RECORDED,
        label=label,
        bare_p=bare_p,
        unit_of=unit_of,
        # Files of this package, not of a run.
        style=Markup(_template_file("style.css")),  # noqa: S704
        script=Markup(scripts),  # noqa: S704
        script_hash=script_hash(scripts),
        size_note=SIZE,
    )
    # The size stands in the page itself, so that it is put in when everything else is there.
    before, _, after = page.rpartition(SIZE)
    return f"{before}{len(page.encode()) / 1e6:.1f} MB{after}"


def script_hash(script: str) -> str:
    """Return the source expression by which a Content-Security-Policy knows an inline script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def definition_places(dictionary: list[dict[str, str]]) -> dict[str, int]:
    """Return in which row of the dictionary a column is defined, from 1; that of sections before any other."""
    found: dict[str, int] = {}
    rows = sorted(enumerate(dictionary, 1), key=lambda item: item[1].get("table") != "sections")
    for place, row in rows:
        found.setdefault(row.get("column", row.get("name", "")), place)
    return found


def quality_words(cards: list[Card]) -> str:
    """Say how many sections passed every check, and which did not; "" where no check was recorded."""
    checked = [card for card in cards if card.worst]
    if not checked:
        return ""
    parts = [
        f"{sum(card.worst == 'pass' for card in checked)} of {counted(len(checked), 'section')} passed every check"
    ]
    for status, words in (("warn", "with a warning"), ("fail", "that failed a check")):
        names = [card.section_id for card in checked if card.worst == status]
        # Where most are concerned, a list of all of them says nothing that the cards do not say better.
        named = f" ({', '.join(names)})" if len(names) <= MOST_NAMED or status == "fail" else ""
        parts += [f"{len(names)} {words}{named}"] if names else []
    return f"{'; '.join(parts)}."


def _template_file(name: str) -> str:
    return resources.files("thymusimg.report").joinpath("templates", name).read_text(encoding="utf-8")


def _title(run: FinishedRun, sections: int) -> str:
    if not run.grouped and sections == 1:
        return f"Section {run.tables['sections']['section_id'].iloc[0]}"
    named = str((run.study or {}).get("name") or "")
    if named or not run.groups:
        return named or "Thymus sections"
    title = f"Study of {counted(len(run.groups), 'group')}"
    groups = listed(list(run.groups))
    return f"{title}: {groups}" if len(groups) <= LONGEST_TITLE else title


def made(run: FinishedRun) -> str:
    """Return the day on which the run was made, ``5 January 2026``; "" where it was not recorded."""
    try:
        day = datetime.fromisoformat(str(run.record.get("created") or ""))
    except ValueError:
        return ""
    # Not %B, which speaks the language of the machine.
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def _summary(run: FinishedRun, sections: int) -> str:
    frame = run.tables["animals"]
    parts = [counted(sections, "section")]
    if run.grouped:
        parts.append(counted(len(frame), "animal"))
        parts.append(counted(len(run.groups), "group"))
    failed = len(run.tables["failures"])
    return " · ".join([*parts, *([f"{counted(failed, 'section')} failed"] if failed else [])])


def _animals(run: FinishedRun) -> tuple[list[str], list[dict[str, Any]], list[str]]:
    """Return the shown columns of ``animals.csv``, its rows, and the reasons why values are undefined, numbered."""
    frame = run.tables["animals"]
    shown = [c for c in figure_columns(run) if c in frame]
    rows = []
    reasons: dict[str, int] = {}
    for record in frame.to_dict("records"):
        row = {str(k): str(v) for k, v in record.items()}
        values = [(row.get(c, ""), shown_number(run, row, c)) for c in shown]
        marked = [(raw, n, reasons.setdefault(n.reason, len(reasons) + 1) if n.reason else 0) for raw, n in values]
        rows.append({**row, "values": marked})
    return shown, rows, list(reasons)


def _records(run: FinishedRun, table: str) -> list[dict[str, str]]:
    return [{str(k): str(v) for k, v in row.items()} for row in run.tables[table].to_dict("records")]


def _listed(values: object) -> list[str]:
    """Return ids, whatever shape the record gave them: names, or mappings with an id and a reason."""
    return list(_ids(values if isinstance(values, list) else []))


def _ids(values: list[Any]) -> Iterable[str]:
    for value in values:
        if isinstance(value, dict):
            why = value.get("reason") or value.get("notes") or ""
            yield f"{value.get('section_id', '')}{f' ({why})' if why else ''}"
        else:
            yield str(value)
