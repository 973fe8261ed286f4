"""``python -m benchmarks.analytic``: measure every case and write ``docs/analytic.md``."""

from __future__ import annotations

from pathlib import Path

from benchmarks.analytic import every_case

DOCS = Path(__file__).parents[2] / "docs" / "analytic.md"
HEAD = """# Every metric on a shape whose answer is known

Written by `python -m benchmarks.analytic`; the tests hold every line (`tests/test_analytic.py`). *Allowed* is the absolute
deviation that a test accepts; where it is more than rounding, the reason stands in the last column.

| metric | column | case | unit | expected | measured | allowed | why |
|---|---|---|---|---:|---:|---:|---|
"""


def main() -> None:
    lines = [
        f"| {c.metric} | `{c.column}` | {c.case} | {c.unit} | {c.expected:.5g} | {c.measure():.5g} | {c.tolerance:.2g} | {c.why} |"
        for c in every_case()
    ]
    DOCS.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} cases: {DOCS}")


main()
