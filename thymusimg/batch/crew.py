"""The workers of a Dask scheduler: who is there, who may be given work, and whether more will come."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from thymusimg.batch.probe import Member, Requirement, look_at_yourself
from thymusimg.batch.weight import memory_words
from thymusimg.errors import CallError, DeviceError
from thymusimg.provenance import versions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

TICK_S = 0.5
ALL_S = 60.0
"""So long all workers are waited for before the work begins with some of them."""
REVIVE_S = 10.0
"""A nanny has so long to start a dead worker again by itself."""


class Supply(Protocol):
    """Where workers come from."""

    name: str
    """For messages, for instance ``tcp://head:8786`` or ``SLURM``."""

    def tend(self, members: Collection[Member], *, pending: int) -> None:
        """Hear which workers are there and how many sections are not done; replace what is lost."""

    def despair(self, idle_s: float) -> str:
        """Say why no worker will come any more, having had none for ``idle_s`` seconds; "" while one may."""

    def excuse(self, worker: Member) -> str:
        """Say why a lost worker's end was not its section's fault; "" if it may have been."""


class Standing:
    """Workers that somebody else started, or that start themselves again."""

    def __init__(self, name: str, patience_s: float) -> None:
        self.name = name
        self._patience_s = patience_s

    def tend(self, members: Collection[Member], *, pending: int) -> None:
        """Do nothing."""

    def despair(self, idle_s: float) -> str:
        """See :class:`Supply`."""
        return f"no worker that could go on has been there for {idle_s:.0f} s" if idle_s > self._patience_s else ""

    def excuse(self, worker: Member) -> str:
        """Return "": nothing is known."""
        return ""


class Nannies(Standing):
    """Workers of a cluster of ours on this machine, whose nannies are seen to.

    A nanny starts its worker again, but not when it dies in the very moment in which it has come up.
    """

    def __init__(self, cluster: Any, name: str, patience_s: float) -> None:
        super().__init__(name, patience_s)
        self._cluster = cluster
        self._dead: dict[object, float] = {}

    def tend(self, members: Collection[Member], *, pending: int) -> None:
        """Start workers again that have been dead for a while."""
        now = time.monotonic()
        for name, nanny in dict(self._cluster.workers).items():
            if nanny.is_alive():
                self._dead.pop(name, None)
            elif now - self._dead.setdefault(name, now) > REVIVE_S:
                self._dead[name] = now
                self._cluster.loop.add_callback(nanny.instantiate)


class Crew:
    """Workers that were looked at before they are given work.

    Parameters
    ----------
    client : distributed.Client
    needed : Requirement
        What a worker must have.
    device : str
        With ``cuda``, workers that offer a GPU must see one.
    """

    def __init__(
        self, client: Any, needed: Requirement, supply: Supply, *, device: str, say: Callable[[str], None]
    ) -> None:
        self.client = client
        self.supply = supply
        self.members: dict[str, Member] = {}
        self._needed, self._device, self._say = needed, device, say
        self._asked: dict[str, Any] = {}
        self._refused: dict[str, str] = {}
        self._gone: dict[str, Member] = {}
        self._useful_at = {False: time.monotonic(), True: time.monotonic()}  # when a worker (with a GPU) was seen

    @property
    def has_gpu(self) -> bool:
        """Whether any worker offers a GPU."""
        return bool(self.useful(gpu=True))

    def useful(self, *, gpu: bool) -> list[str]:
        """Return the addresses of the workers, or of those with a GPU."""
        return [address for address, member in self.members.items() if member.gpus >= 1 or not gpu]

    def look(self) -> None:
        """See who came and who went.

        Raises
        ------
        CallError
            If the scheduler does not answer any more.
        """
        present = self._present()
        for address in [a for a in self.members if a not in present]:
            self._gone[address] = self.members.pop(address)
        for known in (self._asked, self._refused):
            for address in [a for a in known if a not in present]:
                del known[address]
        for address in present - {*self.members, *self._asked, *self._refused}:
            self._asked[address] = self.client.submit(
                look_at_yourself, self._needed, self._device, pure=False, workers=[address], retries=0
            )
        for address in [a for a, future in self._asked.items() if future.done()]:
            self._admit(address, _answer(self._asked.pop(address)))
        for gpu in (False, True):
            if self.useful(gpu=gpu):
                self._useful_at[gpu] = time.monotonic()

    def gather(self, count: int) -> None:
        """Wait for the first ``count`` workers, a while; all that are there must be fit for the work.

        Raises
        ------
        CallError
            If one of them is not, or none comes.
        """
        began = time.monotonic()
        while True:
            self.look()
            if self._refused:
                address, fault = next(iter(self._refused.items()))
                raise CallError(f"{self.supply.name}: the worker {address} cannot do this work: {fault}.")
            enough = len(self.members) >= count or (self.members and time.monotonic() - began > ALL_S)
            if enough and not self._asked:
                return
            self.wait(pending=count)

    def wait(self, *, pending: int, gpu: bool = False) -> None:
        """Wait a moment, having nobody to give work to.

        Raises
        ------
        CallError
            If nobody will come any more.
        """
        self.supply.tend(self.members.values(), pending=pending)
        if not self.useful(gpu=gpu) and not self._asked:
            why = self.supply.despair(time.monotonic() - self._useful_at[gpu])
            if why:
                bad = "".join(f" ({address}: {fault})" for address, fault in list(self._refused.items())[:1])
                raise CallError(
                    f"{self.supply.name}: {why}{bad}. What is finished is kept; the same command goes on."
                )
        self._sleep()

    def _sleep(self) -> None:
        """Wait a moment, or until a worker has looked at itself."""
        if not self._asked:
            time.sleep(TICK_S)
            return
        from distributed import wait

        with suppress(TimeoutError, CancelledError):  # one that went meanwhile is seen to by the next look
            wait(list(self._asked.values()), timeout=TICK_S, return_when="FIRST_COMPLETED")

    def require_gpu(self) -> None:
        """Refuse when no worker has a GPU.

        Raises
        ------
        DeviceError
        """
        if not self.has_gpu:
            found = f"{len(self.members)} worker{'s' * (len(self.members) != 1)}, none with a GPU resource"
            raise DeviceError(
                f"--device cuda: {self.supply.name} has {found}. Start GPU workers with "
                "'dask worker … --resources GPU=1', or use --device cpu."
            )

    def excuse(self, address: str) -> str:
        """Say why a lost worker's end was not its section's fault, or ""."""
        member = self._gone.get(address)
        return "" if member is None else self.supply.excuse(member)

    def host(self, address: str) -> str:
        """Return the machine of a worker, present or gone."""
        member = self.members.get(address) or self._gone.get(address)
        return address if member is None else member.host

    def memory_words(self, job: object, addresses: Collection[str]) -> str:
        """Say how much memory a section takes and how much its workers had, or ""."""
        known = (self.members.get(address) or self._gone.get(address) for address in addresses)
        return memory_words(job, self._needed.files, [member.memory for member in known if member is not None])

    def _present(self) -> set[str]:
        try:
            return set(self.client.nthreads())
        except (OSError, TimeoutError, RuntimeError, ValueError) as error:  # as Dask says that nobody answers
            raise CallError(
                f"{self.supply.name}: the Dask scheduler does not answer any more ({error}). "
                "What is finished is kept; the same command goes on."
            ) from None

    def _admit(self, address: str, found: Member | str) -> None:
        fault = found if isinstance(found, str) else found.fault
        if fault:
            if self.members:
                self._say(f"Note: the worker {address} is left out: {fault}")
            self._refused[address] = fault
        elif isinstance(found, Member):
            if not self.members:
                self._compare(found)
            self.members[address] = found

    def _compare(self, found: Member) -> None:
        own = versions()
        other = [f"{k} {v} (here {own.get(k)})" for k, v in found.libraries.items() if own.get(k) != v]
        if other:
            self._say(
                f"Note: workers have other libraries, numbers may differ in the last digits: {', '.join(other)}"
            )


def _answer(future: Any) -> Member | str:
    """Return what a worker said about itself, or why it could not say anything."""
    if future.status != "finished":
        error = future.exception() if future.status == "error" else None
        if isinstance(error, (ImportError, AttributeError, TypeError)):
            return f"the same thymusimg {versions()['thymusimg']} is not installed there ({error})"
        return f"it does not answer ({error or future.status})"
    member: Member = future.result(timeout=30)
    return member
