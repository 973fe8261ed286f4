"""What a run does before its workers work: little, and nothing that an analysis loads."""

from __future__ import annotations

import subprocess
import sys

from thymusimg.batch.needs import ALWAYS_THERE
from thymusimg.cells.methods import UNTRAINED as CELLS
from thymusimg.compartments.methods import UNTRAINED as COMPARTMENTS

HEAVY = ("pandas", "numba", "scipy", "skimage", "zarr", "matplotlib", "thymusimg.pipeline")


def test_handing_out_work_loads_no_analysis() -> None:
    """Workers start while the run's own process would still be loading."""
    code = f"import sys, thymusimg.batch.run; print([m for m in {HEAVY} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_methods_that_need_no_look_are_those_without_a_model() -> None:
    assert set(ALWAYS_THERE["compartments"]) == set(COMPARTMENTS)
    assert set(ALWAYS_THERE["cells"]) == {*CELLS, "none"}
