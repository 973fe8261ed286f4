"""Working through the cases: in parallel, each answer kept as a small file, so that a kill loses nothing."""

from __future__ import annotations

import json
import time
import traceback
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from thymusimg.batch.executor import executor
from thymusimg.batch.folder import writing
from thymusimg.errors import CallError, OutputError
from thymusimg.section.store import plain
from thymusimg.validate.null_tables import run_null_tables
from thymusimg.validate.sections import run_section

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from thymusimg.validate.case import Case


@dataclass(frozen=True)
class Answer:
    """A case and what came out; ``failure`` says why nothing did."""

    case: Case
    found: dict[str, Any]
    failure: str = ""


class Watcher(Protocol):
    """Who is told how far the work is."""

    def __call__(self, done: int, total: int, name: str, seconds_to_go: float) -> None:
        """Take note; ``seconds_to_go`` is NaN until the first case is done."""


def work(case: Case) -> dict[str, Any]:
    """Work out one case; a failure is an answer, and the others go on."""
    began = time.perf_counter()
    try:
        found = run_null_tables(case) if case.part == "null tables" else run_section(case)
    except Exception as error:  # noqa: BLE001  a case that fails is a finding of the validation, and is printed in it
        return {"failure": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    return {"case": asdict(case), "found": plain(found), "took_s": round(time.perf_counter() - began, 2)}


def run_cases(cases: Sequence[Case], cache: Path, workers: int, watch: Watcher) -> list[Answer]:
    """Return the answer of every case, in order; what lies in ``cache`` is not worked out again.

    Raises
    ------
    OutputError
        If the cache cannot be written.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{cache}: cannot be written ({error.strerror or error})") from None
    answers: dict[int, Answer] = {}
    for i, case in enumerate(cases):
        if (kept := _read(cache / f"{case.key}.json")) is not None:
            answers[i] = Answer(case, kept)
    todo = [i for i in range(len(cases)) if i not in answers]
    if not todo:
        return [answers[i] for i in range(len(cases))]
    todo = _spread(todo)
    began = time.monotonic()
    watch(len(answers), len(cases), f"{len(answers)} of {len(cases)} cases were done before", float("nan"))
    with executor(max(1, workers)) as workforce:
        for done, (place, result) in enumerate(workforce.run(work, [cases[i] for i in todo]), start=1):
            case = cases[todo[place]]
            answers[todo[place]] = _keep(case, result, cache)
            to_go = (time.monotonic() - began) / done * (len(todo) - done)
            watch(len(answers), len(cases), case.name, to_go)
    return [answers[i] for i in range(len(cases))]


def _spread(todo: list[int]) -> list[int]:
    """Mix slow and quick parts, always in the same way, so that the time to go is worth something."""
    return sorted(todo, key=lambda i: (i * 2654435761) % 2**32)


def _keep(case: Case, result: dict[str, Any] | BaseException, cache: Path) -> Answer:
    if isinstance(result, BaseException):
        return Answer(case, {}, f"its worker died ({type(result).__name__}); out of memory? Try fewer --workers")
    if "failure" in result:
        return Answer(case, {}, str(result["failure"]))
    with writing(cache / f"{case.key}.json") as partial:
        partial.write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
    return Answer(case, result["found"] | {"took_s": result["took_s"]})


def _read(path: Path) -> dict[str, Any] | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        found: dict[str, Any] = kept["found"] | {"took_s": kept["took_s"]}
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, KeyError, TypeError):  # half-written by a disk that was full: work it out again
        return None
    except OSError as error:
        raise CallError(f"{path}: cannot be read ({error.strerror or error})") from None
    return found
