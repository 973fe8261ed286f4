"""What a run says about how far it is."""

from __future__ import annotations

import pytest

from thymusimg.batch.job import Outcome
from thymusimg.cli import console as module
from thymusimg.cli.console import Console, in_words, share_done


def test_where_there_is_no_terminal_a_long_section_says_now_and_then_how_far_it_is(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    console = Console()
    console.start("sections", 2)
    for second in range(0, 100, 5):
        now[0] = float(second)
        console.progress("s1", "measurements", second / 100)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Sections: 2"
    assert 2 <= len(lines) - 1 <= 3
    assert lines[1].startswith("  s1: measurements 35 % (about")  # 35 s of 0.497 sections: 106 s for the rest
    assert "2 min to go" in lines[1]
    console.done(Outcome("s1", "measured", {}), 0)
    assert "1/2 s1: measured" in capsys.readouterr().err


def test_sections_that_were_there_already_do_not_shorten_the_time_to_go(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    console = Console()
    console.start("sections", 10)
    for position in range(7):
        console.done(Outcome(f"s{position}", "reused", {}), position)
    assert "to go" not in capsys.readouterr().err
    now[0] = 30.0
    console.done(Outcome("s7", "measured", {}), 7)
    assert "(about 60 s to go)" in capsys.readouterr().err  # two more of 30 s


@pytest.mark.parametrize(
    ("reused", "words"),
    [
        ((), "measured"),
        (("tissue", "quality"), "tissue reused, compartments drawn and measured again"),
        (("tissue", "quality", "compartments"), "compartments reused, cells found and measured again"),
        (("tissue", "quality", "compartments", "cells"), "compartments and cells reused, measured again"),
        (("tissue", "compartments", "cells", "measurements"), "measurements reused, quality checked again"),
    ],
)
def test_what_was_reused_is_said(reused, words):
    assert in_words(Outcome("s1", "measured", {}, reused=frozenset(reused))) == words


def test_a_section_only_ever_gets_on():
    order = ["opening", "survey", "tissue", "compartments", "gate", "cells", "measurements", "writing"]
    shares = [share_done(stage, 0.0) for stage in order]
    assert shares == sorted(shares)
    assert all(0 <= share_done(stage, 1.0) <= 1 for stage in order)
