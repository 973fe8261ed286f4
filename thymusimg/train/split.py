"""Which animals are trained on, which choose when to stop, and which are only looked at in the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.errors import CallError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ENOUGH_TO_STOP_BY = 4
"""With so many animals, one that is not held out chooses the best epoch; with fewer the held-out ones do."""


@dataclass(frozen=True)
class Split:
    """Animals by their part in a training; nobody's sections are in two of ``train`` and ``held_out``.

    Attributes
    ----------
    train : tuple of str
        The weights are fitted to their sections.
    stop : tuple of str
        Their sections choose the best epoch; ``held_out`` itself where there are too few animals.
    held_out : tuple of str
        Their sections give the figures of the model card.
    """

    train: tuple[str, ...]
    stop: tuple[str, ...]
    held_out: tuple[str, ...]

    @property
    def note(self) -> str:
        """What a reader of the figures must know, or ``""``."""
        if self.stop != self.held_out:
            return ""
        return "the held-out animals also chose the best epoch, so that their figures are a little too good"


def split_animals(animals: Iterable[str], *, seed: int, hold_out: Sequence[str] = ()) -> Split:
    """Divide animals, never their sections or tiles.

    Parameters
    ----------
    animals : iterable of str
        Of every annotated section; several sections of an animal stay together.
    seed : int
        About a quarter of the animals is drawn with it to be held out, at least one.
    hold_out : sequence of str, optional
        The animals to hold out, in place of the draw.

    Raises
    ------
    CallError
        If there is one animal only, or ``hold_out`` names unknown animals or all of them.

    Examples
    --------
    >>> split_animals(["a", "a", "b", "c"], seed=0, hold_out=["b"])
    Split(train=('a', 'c'), stop=('b',), held_out=('b',))
    """
    known = tuple(sorted(set(animals)))
    if len(known) < 2:
        raise CallError(
            f"all annotated sections are of one animal ({known[0] if known else 'none'}): nothing would show "
            "whether the model works on another. Annotate sections of at least two animals."
        )
    if unknown := sorted(set(hold_out) - set(known)):
        raise CallError(
            f"--hold-out {unknown[0]}: no annotated section is of that animal; there are {', '.join(known)}."
        )
    if set(hold_out) == set(known):
        raise CallError("--hold-out names every annotated animal; leave at least one to train on.")
    rng = np.random.default_rng([0x5B117, seed])
    drawn = [known[i] for i in rng.permutation(len(known))]
    held_out = sorted(set(hold_out)) or sorted(drawn[: max(1, round(len(known) / 4))])
    left = [animal for animal in drawn if animal not in held_out]
    stop = held_out
    if len(left) >= ENOUGH_TO_STOP_BY - 1:
        stop, left = sorted(left[: max(1, round(len(left) / 4))]), left[max(1, round(len(left) / 4)) :]
    return Split(tuple(sorted(left)), tuple(stop), tuple(held_out))
