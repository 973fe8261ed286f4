"""A run's right to write into its folder, which a worker that is out of reach loses when the run ends."""

from __future__ import annotations

import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thymusimg.batch.folder import writing
from thymusimg.batch.probe import RUNNING, token_in
from thymusimg.errors import CancelledError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVERY_S = 2.0


@dataclass
class Lease:
    """A progress callback that stops the work once its run is over.

    Workers of somebody else's scheduler cannot be killed; without this they would go on writing into a folder that
    the next run believes its own.
    """

    out: Path
    token: str
    _looked: float = field(default=0.0, compare=False)
    _missed: int = field(default=0, compare=False)

    def __call__(self, stage: str, fraction: float) -> None:
        """Look, at most every 2 s, whether the run still holds its folder.

        Raises
        ------
        CancelledError
            If it does not.
        """
        now = time.monotonic()
        if now - self._looked < EVERY_S:
            return
        self._looked = now
        self._missed = 0 if token_in(self.out) == self.token else self._missed + 1
        if self._missed >= 3:  # once may be a hiccup of the network
            raise CancelledError(f"{self.out}: the run that asked for this section is over")


@contextmanager
def leased(out: Path) -> Iterator[Lease]:
    """Hold a folder under a new token; whoever worked under another stops.

    Raises
    ------
    OutputError
    """
    lease = Lease(out, uuid.uuid4().hex)
    path = out / RUNNING
    with writing(path) as partial:
        partial.write_text(lease.token, encoding="ascii")
    try:
        yield lease
    finally:
        path.unlink(missing_ok=True)
