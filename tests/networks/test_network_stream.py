"""Windows through a network: in order, none lost, whatever the threads, the batches and the memory."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch

from thymusimg.errors import CancelledError, DeviceError
from thymusimg.networks.stream import stream


class Pretended:
    """A network that adds 1; ``on_cpu`` and what it takes at once are as the test says."""

    def __init__(self, on_cpu, batch=4):
        self.on_cpu, self.batch, self.sizes = on_cpu, batch, []
        self.lock = threading.Lock()

    def batch_size(self, shape):
        assert shape == (1, 4, 4)
        return 1 if self.on_cpu else self.batch

    def __call__(self, batch):
        with self.lock:
            self.sizes.append(len(batch))
        return batch + 1


def read(item):
    """Every third item holds nothing."""
    time.sleep(0.001 * (item % 2))
    return None if item % 3 == 0 else np.full((1, 4, 4), item, np.float32)


def finish(item, outputs):
    time.sleep(0.001 * (item % 4 == 1))
    return (item, None if outputs is None else float(outputs[0, 0, 0]))


EXPECTED = [(i, None if i % 3 == 0 else i + 1.0) for i in range(20)]


@pytest.mark.parametrize("on_cpu", [True, False])
@pytest.mark.parametrize("threads", [1, 3])
def test_every_item_once_and_in_order(on_cpu, threads):
    assert list(stream(Pretended(on_cpu), range(20), read, finish, threads=threads)) == EXPECTED


@pytest.mark.parametrize("on_cpu", [True, False])
def test_nothing_to_do(on_cpu):
    net = Pretended(on_cpu)
    assert list(stream(net, [], read, finish)) == []
    assert list(stream(net, [0, 3], read, finish)) == [(0, None), (3, None)]
    assert net.sizes == []


def test_batches_are_filled():
    net = Pretended(False, batch=4)
    list(stream(net, [1] * 23, read, finish, threads=2))
    assert max(net.sizes) == 4
    assert sum(net.sizes) == 23
    assert net.sizes.count(4) >= 5


def test_a_smaller_batch_is_asked_for_once_memory_was_short():
    net = Pretended(False, batch=8)
    original = net.__call__

    def short(batch):
        if len(batch) > 2:
            net.batch = 2
        return original(batch)

    class Short(Pretended):
        __call__ = staticmethod(short)

    net.__class__ = Short
    assert [item for item, _ in stream(net, range(30), read, finish)] == list(range(30))
    assert net.sizes[-1] <= 2


@pytest.mark.parametrize("on_cpu", [True, False])
def test_progress_ends_at_one_and_may_cancel(on_cpu):
    heard = []
    list(stream(Pretended(on_cpu), range(7), read, finish, progress=lambda s, f: heard.append((s, f)), stage="x"))
    assert heard[-1] == ("x", 1.0)
    assert [f for _, f in heard] == sorted(f for _, f in heard)
    begun = []

    def cancel(stage, fraction):
        raise CancelledError("stopped")

    def noted(item):
        begun.append(item)
        return read(item)

    with pytest.raises(CancelledError):
        list(stream(Pretended(on_cpu), range(500), noted, finish, progress=cancel))
    assert len(begun) < 100
    assert not [t for t in threading.enumerate() if t.name.startswith(("read", "finish", "network"))]


@pytest.mark.parametrize("on_cpu", [True, False])
@pytest.mark.parametrize("where", ["read", "network", "finish"])
def test_a_fault_ends_the_work(on_cpu, where):
    def fail(*_):
        raise DeviceError("no")

    net = Pretended(on_cpu)
    if where == "network":
        net.__class__ = type("Failing", (Pretended,), {"__call__": fail})
    with pytest.raises(DeviceError):
        list(stream(net, range(50), fail if where == "read" else read, fail if where == "finish" else finish))


def test_not_more_is_read_than_is_soon_needed():
    net, waiting, most = Pretended(False, batch=4), [0], [0]
    lock = threading.Lock()

    def counted(item):
        with lock:
            waiting[0] += 1
            most[0] = max(most[0], waiting[0])
        return np.zeros((1, 4, 4), np.float32)

    def done(item, outputs):
        with lock:
            waiting[0] -= 1
        return item

    for _ in stream(net, range(200), counted, done, threads=2):
        pass
    assert most[0] <= 40


def test_torch_has_its_threads_back():
    before = torch.get_num_threads()
    inside = []

    def noted(item, outputs):
        inside.append(torch.get_num_threads())
        return item

    list(stream(Pretended(True), range(4), read, noted, threads=2))
    assert set(inside) == {1}
    assert torch.get_num_threads() == before
