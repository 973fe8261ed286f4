"""A section that would need more memory than there is, is refused before any work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from thymusimg.errors import SectionError
from thymusimg.section import memory
from thymusimg.section.model import Level, Section, Subject, Window
from thymusimg.section.survey import survey_framed

if TYPE_CHECKING:
    from pathlib import Path


class Unread:
    """A slide of some size that must not be read."""

    path = "huge.ome.tif"
    tile_shape = (512, 512)
    dtype = np.dtype(np.uint16)

    def __init__(self, side: int) -> None:
        self.levels = (Level((side, side), 1.0),)

    def read(self, level: int, channel: int, window: Window) -> np.ndarray:
        raise AssertionError("read")


def section_of(side: int, **options: object) -> Section:
    return Section(Subject("s"), Unread(side), {"k14": 0}, {"k14": "KRT14"}, 0.5, **options)  # type: ignore[arg-type]


def test_what_does_not_fit_is_refused_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda: 2e9)
    memory.require_memory(section_of(90_000, frame=Window(512, 4608, 512, 4608)))
    with pytest.raises(SectionError, match=r"huge\.ome\.tif: .* 90,000 × 90,000 px .*.* 2\.0 GB"):
        memory.require_memory(section_of(90_000))


def test_the_need_follows_the_frame_and_not_the_slide() -> None:
    frame = Window(0, 4096, 0, 4096)
    needs = [memory.needed_bytes(section_of(side, frame=frame)) for side in (8192, 65536)]
    assert needs[0] == needs[1] < memory.needed_bytes(section_of(8192))


def test_a_container_s_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "LIMITS", (str(limit),))
    without = memory.free_bytes()
    limit.write_text("max")
    assert memory.free_bytes() == pytest.approx(without, rel=0.2)
    limit.write_text("1000")
    assert memory.free_bytes() < 1000


def test_a_whole_slide_that_does_not_fit_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    # what this process holds already counts as there, and after a thousand tests that is more than the need
    monkeypatch.setattr(memory, "free_bytes", lambda: -1e12)
    with pytest.raises(SectionError, match="GB of memory"):
        survey_framed(section_of(9_000))


def test_giving_back_is_harmless() -> None:
    memory.share_pools()
    memory.give_back()
