"""The invariances as properties: drawn sections of both generators, drawn changes, the whole pipeline."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_invariances import AREAS, BLOCK, PIXEL_UM, TURNS, analyse, numbers

from thymusimg.phantom import PhantomSpec, make_phantom

EXACT = (*AREAS, "medulla_fraction", "double_positive_fraction", "segregation_index_50um", "k14_share_moran_i")
"""Sums over pixels and tiles: what is left is the order of the sums."""
NEARLY = {
    "cmj_length_mm": 0.02,
    "cortical_coverage": 0.02,
    "cortical_thickness_um": 0.02,
    "cortical_streamline_thickness_um": 0.03,
    "islet_effective_number": 0.02,
    "cd45_area_fraction": 0.01,
    "cd45_count": 0.02,
    "cd45_median_cma3": 0.05,
    "network_density_cortex_mm_per_mm2": 0.02,
}
"""Lines are traced and cells are found in another order."""

specs = st.builds(
    PhantomSpec,
    area_mm2=st.floats(0.15, 0.25),
    islets=st.integers(1, 4),
    medulla_fraction=st.floats(0.2, 0.4),
    indeterminate_fraction=st.floats(0.0, 0.15),
    order=st.floats(0.7, 1.0),
    septa=st.integers(0, 4),
    cd45_cortex_per_mm2=st.floats(200, 6000),
    cd45_medulla_per_mm2=st.floats(100, 3000),
)
few = settings(
    max_examples=3, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def section(spec: PhantomSpec, seed: int, generator: str) -> np.ndarray:
    drawn = make_phantom(spec, seed, pixel_size_um=PIXEL_UM, generator=generator).pixels[:3]
    height, width = (n // (2 * BLOCK) * 2 * BLOCK for n in drawn.shape[1:])
    return np.ascontiguousarray(drawn[:, :height, :width])


def assert_same(found: dict[str, float], wanted: dict[str, float]) -> None:
    for name in EXACT:
        assert found[name] == pytest.approx(wanted[name], rel=5e-3, abs=1e-6, nan_ok=True), name
    for name, rel in NEARLY.items():
        # a unit of a count, a hundredth of an axis
        assert found[name] == pytest.approx(
            wanted[name], rel=rel, abs=1 if "count" in name else 0.01, nan_ok=True
        ), name


@pytest.mark.parametrize("generator", ["slab", "drawn"])
@few
@given(specs, st.integers(0, 10_000), st.sampled_from(sorted(TURNS)))
def test_turning_any_section(generator, spec, seed, turn):
    pixels = section(spec, seed, generator)
    turned = np.ascontiguousarray(TURNS[turn](pixels))
    assert_same(numbers(analyse(turned)), numbers(analyse(pixels)))


@pytest.mark.parametrize("generator", ["slab", "drawn"])
@few
@given(specs, st.integers(0, 10_000), st.permutations([0, 1, 2]), st.sampled_from([2, 3, 4]))
def test_channel_order_and_gain_of_any_section(generator, spec, seed, order, gain):
    pixels = section(spec, seed, generator)
    wanted = numbers(analyse(pixels))
    # channel i of the file holds stain order[i]
    found = numbers(analyse(pixels * np.uint16(gain), order=tuple(order)))
    assert_same(found, wanted)
