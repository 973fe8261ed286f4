"""The tile grid covers every pixel once; the loop over tiles keeps order and stops when told."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from thymusimg.errors import CancelledError
from thymusimg.section.model import Window
from thymusimg.section.tiles import Team, map_tiles, tile_grid


@pytest.mark.parametrize("shape", [(1, 1), (100, 37), (64, 128)])
@pytest.mark.parametrize("size", [11, 32, 64, 1000])
def test_cores_cover_every_pixel_once(shape: tuple[int, int], size: int) -> None:
    cover = np.zeros(shape, dtype=int)
    pixels = np.arange(cover.size).reshape(shape)
    for tile in tile_grid(shape, size, halo=7):
        cover[tile.core.slices] += 1
        outer = pixels[tile.outer.slices]
        np.testing.assert_array_equal(outer[tile.core_in_outer], pixels[tile.core.slices])
        assert tile.outer.y0 >= 0
        assert tile.outer.x1 <= shape[1]
    assert (cover == 1).all()


def test_a_tile_of_no_size_is_refused() -> None:
    with pytest.raises(ValueError, match="no tile"):
        tile_grid((10, 10), 0)


@pytest.mark.parametrize("threads", [1, 4])
def test_results_come_in_order_and_few_are_in_flight(threads: int) -> None:
    begun, done = [], []
    lock = threading.Lock()

    def work(item: int) -> int:
        with lock:
            begun.append(item)
        time.sleep(0.001 * (item % 3))
        return item * item

    seen: list[float] = []
    for result in map_tiles(work, range(40), threads, progress=lambda stage, share: seen.append(share)):
        done.append(result)
        assert len(begun) - len(done) <= 2 * threads
    assert done == [i * i for i in range(40)]
    assert seen[-1] == 1.0
    assert seen == sorted(seen)


@pytest.mark.parametrize("threads", [1, 4])
def test_the_first_failure_is_raised_and_the_rest_is_not_begun(threads: int) -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item in (5, 6):
            raise ValueError(f"tile {item}")
        return item

    with pytest.raises(ValueError, match="tile 5"):
        list(map_tiles(work, range(1000), threads))
    assert len(begun) < 30


@pytest.mark.parametrize("threads", [1, 3])
def test_a_cancel_stops_the_work(threads: int) -> None:
    begun: list[int] = []

    def stop(stage: str, share: float) -> None:
        assert stage == "cells"
        if share > 0.005:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        list(map_tiles(begun.append, range(1000), threads, progress=stop, stage="cells"))
    assert len(begun) < 30


def test_windows_grow_to_the_edge_only() -> None:
    assert Window(0, 4, 2, 6).grown(3, (5, 20)) == Window(0, 5, 0, 9)


def test_loops_that_share_a_team_go_on_side_by_side() -> None:
    gate, seen = threading.Event(), []

    def first(item: int) -> int:
        assert gate.wait(20)  # holds one thread of the team, until the other loop's pieces are done
        return item

    def second(item: int) -> int:
        seen.append(item)
        if len(seen) == 10:
            gate.set()
        return -item

    with Team(2) as team, ThreadPoolExecutor(2) as beside:
        slow = beside.submit(list, map_tiles(first, [7], team))
        quick = beside.submit(list, map_tiles(second, range(10), team))
        assert slow.result(30) == [7]
        assert quick.result(30) == [-i for i in range(10)]


def test_a_loop_that_fails_leaves_the_team_to_the_others_and_no_piece_running() -> None:
    running = threading.Semaphore(0)

    def work(item: int) -> int:
        if item == 0:
            raise ValueError("tile 0")
        time.sleep(0.05)
        running.release()
        return item

    with Team(2) as team:
        with pytest.raises(ValueError, match="tile 0"):
            list(map_tiles(work, range(100), team))
        ended = running._value
        assert ended <= 3
        assert list(map_tiles(abs, [-1, -2], team)) == [1, 2]
        assert running._value == ended
