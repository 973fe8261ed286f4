"""Asking for many things at once."""

from __future__ import annotations

import asyncio

import pytest

from thymusimg.remote.patience import all_of


def test_answers_come_in_the_order_of_the_questions():
    async def answer(number):
        await asyncio.sleep(0.01 * (3 - number))
        return number

    async def ask():
        return await all_of(answer(i) for i in range(4))

    assert asyncio.run(ask()) == [0, 1, 2, 3]


def test_one_that_fails_ends_the_others():
    ended = []

    async def slow():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def fail():
        await asyncio.sleep(0)
        raise ValueError("no answer")

    async def ask():
        with pytest.raises(ValueError, match="no answer"):
            await all_of([slow(), fail(), slow()])
        await asyncio.sleep(0)
        assert len(ended) == 2
        assert len(asyncio.all_tasks()) == 1  # this one

    asyncio.run(ask())
