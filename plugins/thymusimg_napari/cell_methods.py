"""The methods that find cells here: what is installed, by the name that the engine knows it under. No Qt."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

from thymusimg.cells.segmenters import segmenter_names
from thymusimg.models.find import list_models


class Method(NamedTuple):
    """A method: its name in the settings, and what people read."""

    name: str
    words: str


def cell_methods() -> list[Method]:
    """Return the methods that can be chosen; a folder or a file of weights can be named beside them."""
    found = [Method("classical", "classical (no training)")]
    models = [model for model in list_models()[0] if model.card.task == "cells"]
    if find_spec("torch") is not None:
        if models:
            found.append(Method("network", "network (the one that ships)"))
        found += [Method(m.card.name, f"{m.card.name} {m.card.version} ({m.card.kind})") for m in models]
    if find_spec("cellpose") is not None:
        found.append(Method("cellpose", "cellpose"))
    return found + [Method(name, f"{name} (of another package)") for name in segmenter_names()]
