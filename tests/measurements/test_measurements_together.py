"""The families are measured at once, with the numbers of one thread; the caller hears of it and can stop it."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from thymusimg.errors import CancelledError
from thymusimg.measurements import together
from thymusimg.measurements.families import FAMILIES, IN_PIECES
from thymusimg.measurements.together import measure_families
from thymusimg.measurements.view import SectionView
from thymusimg.section.tiles import map_tiles
from thymusimg.settings import MeasurementSettings
from thymusimg.settings.compute import ComputeSettings


class Counting:
    """A family that puts one column, perhaps after some pieces of work."""

    def __init__(self, name: str, pieces: int, stage: str = "") -> None:
        self.name, self.pieces, self.stage = name, pieces, stage
        self.begun = 0

    def piece(self, item: int) -> int:
        self.begun += 1
        return item

    def measure(self, row: Any, view: SectionView) -> None:
        done = map_tiles(self.piece, range(self.pieces), view.threads, progress=view.progress, stage=self.stage)
        row.put(self.name, sum(done) if self.pieces else 1)


@pytest.fixture
def families(monkeypatch: pytest.MonkeyPatch) -> list[Counting]:
    made = [Counting(f"f{i}", 0) for i in range(3)] + [
        Counting("a", 400, "simulations"),
        Counting("b", 9, "network"),
    ]
    monkeypatch.setattr(together, "FAMILIES", tuple(made))
    monkeypatch.setattr(together, "IN_PIECES", {"simulations": made[3], "network": made[4]})
    monkeypatch.setattr(together, "LARGE_PIECES", made[4])
    return made


def view(threads: int) -> SectionView:
    nothing: Any = SimpleNamespace()
    return SectionView(nothing, nothing, {}, MeasurementSettings(), compute=ComputeSettings(threads=threads))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_rows_come_in_the_order_of_the_families_and_the_share_done_grows_to_1(
    threads: int, families: list[Counting]
) -> None:
    told: list[tuple[str, float, int]] = []

    def hear(stage: str, share: float) -> None:
        told.append((stage, share, threading.get_ident()))

    rows = measure_families(view(threads), hear)
    assert [list(row.values.items()) for row in rows] == [
        [("f0", 1)], [("f1", 1)], [("f2", 1)], [("a", sum(range(400)))], [("b", sum(range(9)))],
    ]  # fmt: skip
    shares = [share for _, share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert {stage for stage, _, _ in told} == {"measurements"}
    assert {thread for _, _, thread in told} == {threading.get_ident()}


def test_large_pieces_wait_for_the_families_in_one_piece(families: list[Counting]) -> None:
    order: list[str] = []

    def slow(row: Any, view: SectionView) -> None:
        assert threading.Event().wait(0.2) is False
        order.append("in one piece")

    def piece(item: int) -> int:
        order.append("large piece")
        return item

    families[1].measure = slow  # type: ignore[method-assign]  # takes longer than the others
    families[4].piece = piece  # type: ignore[method-assign]  # tells when it is its turn
    measure_families(view(2), lambda stage, share: None)
    assert order == ["in one piece"] + ["large piece"] * 9


@pytest.mark.parametrize("threads", [1, 2])
def test_a_cancel_ends_the_families_in_pieces(
    threads: int, families: list[Counting], monkeypatch: pytest.MonkeyPatch
) -> None:
    families[3].piece = lambda item: threading.Event().wait(0.01) and item  # type: ignore[method-assign]  # slow
    monkeypatch.setattr(together, "TOLD_EVERY_S", 0.02)
    begun = threading.Event()

    def stop(stage: str, share: float) -> None:
        if begun.is_set():
            raise CancelledError("stopped")
        begun.set()

    before = threading.active_count()
    with pytest.raises(CancelledError):
        measure_families(view(threads), stop)
    assert threading.active_count() == before


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("which", [0, 3, 4])
def test_the_fault_of_a_family_is_raised_and_not_that_of_those_it_ends(
    threads: int, which: int, families: list[Counting]
) -> None:
    def fail(row: Any, view: SectionView) -> None:
        raise ValueError(f"family {which}")

    families[which].measure = fail  # type: ignore[method-assign]  # a family that fails
    with pytest.raises(ValueError, match=f"family {which}"):
        measure_families(view(threads), lambda stage, share: None)


def test_the_families_in_pieces_are_families() -> None:
    assert all(any(one is family for family in FAMILIES) for one in IN_PIECES.values())
