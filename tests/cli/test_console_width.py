"""The bars on a terminal: they stay where they are, and nothing is cut off that tells sections apart."""

from __future__ import annotations

import io
import sys

import pytest

from thymusimg.batch.job import Outcome
from thymusimg.cli import console as module
from thymusimg.cli.console import Console, shortened

STAGES = ("opening", "survey", "cells", "measurements", "writing")
LONG = "untreated_NSG_mouse_12_left_lobe_section_3"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def lines(console):
    from rich.console import Console as Plain

    bar = console._bar
    file = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    plain = Plain(file=file, width=bar.console.width, force_terminal=False)
    plain.print(bar.get_renderable())
    file.seek(0)
    return file.read().splitlines()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("name", ["s1", LONG, "[bold]a[/bold]"])
def test_bars_do_not_move_and_every_line_fits(monkeypatch, width, name):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    starts, ends = set(), set()
    with Console() as console:
        console.start("sections", 8)
        for stage in STAGES:
            console.progress(name, stage, 0.5)
            shown = lines(console)
            assert len(shown) == 2
            assert all(len(line) <= width for line in shown)
            assert stage in shown[1]
            assert name[-4:] in shown[1] or len(name) > 42
            ends |= {line.index("%") for line in shown}
            starts |= {line.index("━") for line in shown if "━" in line}
    assert len(starts) == len(ends) == 1


def test_the_time_left_leaves_out_what_was_there_already(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    with Console() as console:
        console.start("sections", 10)
        for position in range(8):
            console.done(Outcome(f"s{position}", "reused", {}), position)
        assert "left" not in lines(console)[0]
        now[0] = 40.0
        console.done(Outcome("s8", "measured", {}), 8)
        assert lines(console)[0].rstrip().endswith("40 s left")  # one more, and not a tenth of what is over


def test_a_long_id_keeps_both_ends():
    assert shortened(LONG, 24) == "untreated_NS…e_section_3"
    assert len(shortened(LONG, 24)) == 24
    assert shortened("s1", 24) == "s1"
