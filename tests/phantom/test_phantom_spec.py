from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from thymusimg.errors import SettingsError
from thymusimg.phantom import PRESETS, OpticsSpec, PhantomSpec, make_phantom
from thymusimg.phantom.presets import find_preset
from thymusimg.phantom.spec import spec_from


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("area_mm2", -1.0),
        ("medulla_fraction", 1.2),
        ("order", -0.1),
        ("cell_diameter_um", 2.0),
        ("cd45_cortex_per_mm2", -5.0),
        ("islets", 0),
        ("lobules", 5),
    ],
)
def test_impossible_values_are_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ValidationError, match=field):
        PhantomSpec.model_validate({field: value})
    with pytest.raises(SettingsError, match=field):
        spec_from({field: value})


def test_a_misspelt_field_is_refused() -> None:
    with pytest.raises(SettingsError, match="medula_fraction"):
        spec_from({"medula_fraction": 0.2})


def test_fractions_above_one_are_refused() -> None:
    with pytest.raises(SettingsError, match="indeterminate_fraction"):
        spec_from({"medulla_fraction": 0.7, "indeterminate_fraction": 0.5})


def test_density_above_packing_is_refused_with_its_bound() -> None:
    with pytest.raises(SettingsError, match=r"cd45_cortex_per_mm2 60000 is above packing.*at most \d+"):
        spec_from({"cd45_cortex_per_mm2": 60_000})


def test_packing_follows_from_the_layer_of_visible_centres() -> None:
    spec = PhantomSpec(cell_diameter_um=6, cell_diameter_sd_um=0, section_um=8, lost_cap_um=1)
    # 1000 spheres of 113.1 µm³ in a layer of 1 mm² x 12 µm
    assert spec.packing(1000) == pytest.approx(1000 * np.pi * 36 / 12e6)


@pytest.mark.parametrize(
    ("pixel", "size", "seed", "word"),
    [
        (5.0, None, 0, "pixel_size_um"),
        (0.5, 0.001, 0, "size_mm"),
        (0.5, 9.0, 0, "memory"),
        (0.5, None, -1, "seed"),
    ],
)
def test_impossible_slides_are_refused(pixel: float, size: float | None, seed: int, word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        make_phantom(PhantomSpec(), seed, pixel_size_um=pixel, size_mm=size)


def test_the_promised_presets_are_there() -> None:
    scenarios = ["untreated_nsg", "cd34_10wk", "progenitor_10wk", "wild_type"]
    honest = ["null", "reversed", "no_cells", "no_architecture"]
    assert list(PRESETS) == scenarios + honest
    with pytest.raises(SettingsError, match="untreated_nsg"):
        find_preset("nsg")


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_draw_is_possible_and_repeatable(name: str) -> None:
    specs = [PRESETS[name].draw(seed) for seed in range(40)]
    assert specs[7] == PRESETS[name].draw(7)
    assert specs[7] != specs[8]
    for spec in specs:
        for field, (low, high) in PRESETS[name].ranges.items():
            assert low <= getattr(spec, field) <= high or field == "indeterminate_fraction"


def test_presets_are_ordered_as_the_scenarios_say() -> None:
    def middle(name: str, field: str) -> float:
        return float(np.median([getattr(PRESETS[name].draw(s), field) for s in range(60)]))

    rising = ("untreated_nsg", "cd34_10wk", "progenitor_10wk")
    for field in ("order", "cd45_cortex_per_mm2", "cortex_fraction", "area_mm2"):
        values = [middle(name, field) for name in rising]
        assert values == sorted(values), field
    for field in ("cyst_fraction", "double_positive", "boundary_fuzz_um", "indeterminate_fraction"):
        values = [middle(name, field) for name in rising]
        assert values == sorted(values, reverse=True), field


def test_sections_of_an_animal_resemble_each_other() -> None:
    from thymusimg.phantom.recipe import ICC, shared_latent

    pairs = np.array(
        [
            [shared_latent(1000 + a, a, seed)("area_mm2") for seed in (2 * a + 5000, 2 * a + 5001)]
            for a in range(400)
        ]
    )
    assert np.corrcoef(pairs.T)[0, 1] == pytest.approx(ICC, abs=0.1)
    assert pairs.std() == pytest.approx(1, abs=0.1)


def test_hard_optics_change_light_only() -> None:
    spec = PhantomSpec()
    assert spec.hard().optics == OpticsSpec.hard()
    assert spec.hard().model_copy(update={"optics": spec.optics}) == spec


def test_an_unknown_generator_is_refused() -> None:
    with pytest.raises(SettingsError, match="'slap'; there are slab, drawn"):
        make_phantom(PhantomSpec(area_mm2=0.02), 0, generator="slap")


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("optics", "bubbles", -1),
        ("optics", "bleed", 0.9),
        ("optics", "defocus_share", 1.5),
        ("camera", "peak_electrons", 0),
        ("camera", "bit_depth", 10),
        ("camera", "jpeg_quality", 101),
    ],
)
def test_impossible_optics_and_cameras_are_refused_by_name(part: str, field: str, value: float) -> None:
    with pytest.raises(SettingsError, match=rf"{part}\.{field}"):
        spec_from({part: {field: value}})


def test_jpeg_needs_eight_bits() -> None:
    with pytest.raises(SettingsError, match="jpeg_quality 80 needs bit_depth 8"):
        spec_from({"camera": {"jpeg_quality": 80}})


def test_a_spec_that_was_changed_past_its_bounds_is_refused_too() -> None:
    bent = PhantomSpec().model_copy(update={"cd45_cortex_per_mm2": 90_000.0})
    with pytest.raises(SettingsError, match="above packing"):
        make_phantom(bent, 0)


def test_an_impossible_correlation_is_refused() -> None:
    from thymusimg.phantom.recipe import plan_study

    with pytest.raises(SettingsError, match=r"icc must lie in 0-1, found 1\.2"):
        plan_study([("a", "null")], 0, animals=1, sections=1, icc=1.2)


def test_mouse_and_human_cells_share_the_room() -> None:
    with pytest.raises(SettingsError, match="mouse_per_mm2"):
        spec_from({"cd45_cortex_per_mm2": 20_000.0, "mouse_per_mm2": 20_000.0, "dapi": True})
