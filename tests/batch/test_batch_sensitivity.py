from __future__ import annotations

import json
import math
import shutil
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from thymusimg.batch import sensitivity
from thymusimg.batch.remeasure import Stored, number
from thymusimg.batch.run import read_sections, run_study
from thymusimg.batch.variants import GATE, Variant, one_at_a_time, parse_variants
from thymusimg.errors import CallError, SettingsError, UnreadableError
from thymusimg.measurements.columns import columns
from thymusimg.phantom import make_phantom, write_ome_tiff
from thymusimg.section.store import Bundle
from thymusimg.settings import Settings
from thymusimg.study.design import load_study
from thymusimg.study.robustness import summary_lines

if TYPE_CHECKING:
    from pathlib import Path

PRIMARY = ("cd45_area_fraction", "segregation_index_50um")


class Silent:
    """A watcher that hears nothing."""

    def start(self, phase: str, total: int) -> None: ...

    def done(self, outcome: object, position: int) -> None: ...

    def step(self, section_id: str, fault: str) -> None: ...

    def say(self, text: str) -> None: ...


@pytest.fixture(scope="module")
def finished(tmp_path_factory, lobe_spec) -> Path:
    """A run of four tiny lobes, two animals in each of two groups."""
    folder = tmp_path_factory.mktemp("slides")
    rows = ["section_id,path,animal,group"]
    for i in range(4):
        spec = lobe_spec.model_copy(
            update={"area_mm2": 0.06, "islets": 1, "cd45_cortex_per_mm2": 800.0 * (1 + i % 2 + 3 * (i // 2))}
        )
        write_ome_tiff(make_phantom(spec, seed=i, pixel_size_um=0.65), folder / f"{i}.ome.tif")
        rows.append(f"s{i},{i}.ome.tif,m{i},{'AB'[i // 2]}")
    (folder / "study.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    toml = folder / "study.toml"
    declared = f'[study]\ntable = "study.csv"\nreference = "A"\nprimary = {json.dumps(PRIMARY)}\n'
    toml.write_text(declared, encoding="utf-8")
    out = folder / "out"
    record = run_study(load_study(toml), out, watcher=Silent(), workers=1)
    assert not record.failures
    return out


def settings_of(out: Path) -> Settings:
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    return Settings.from_mapping(record["settings"])


def varied(out: Path, *options: str, product: bool = False) -> pd.DataFrame:
    variants = parse_variants(options, product=product)
    return sensitivity.run_sensitivity(out, settings_of(out), read_sections(out), variants=variants, workers=1)


def test_a_bundle_gives_the_runs_own_numbers_again(finished: Path) -> None:
    """Every column but those that need the slide's full resolution, bit for bit."""
    bundle = Bundle.open(finished / "sections" / "s1.zarr")
    stored = Stored.of(bundle)
    names = [c.name for c in columns("sections") if c.pool is not None]
    again = stored.measure(stored.draw(stored.settings), stored.settings, names)
    own = {name: number(bundle.attributes["section"][name]) for name in names}
    other = {n for n in names if not (again[n] == own[n] or (math.isnan(again[n]) and math.isnan(own[n])))}
    assert not other & {*PRIMARY, "cd45_density_per_mm2", "cortical_coverage", "cmj_width_um", "islet_count"}
    assert len(other) < len(names) / 2


def test_the_runs_own_settings_give_its_comparison(finished: Path) -> None:
    table = varied(finished, "compartments.medulla_cut=0.4,0.5", "measurements.tile_min_coverage=0.7")
    comparisons = pd.read_parquet(finished / "tables" / "comparisons.parquet")
    primary = comparisons[comparisons["role"] == "primary"].set_index("endpoint")
    own = table[table["is_default"]].set_index("endpoint")
    same = table[table["value"] == "0.5"].set_index("endpoint")
    for name in PRIMARY:
        for row in (own.loc[name], same.loc[name]):
            assert row["estimate"] == primary.loc[name, "difference"]
            assert (row["ci_low"], row["ci_high"]) == (primary.loc[name, "ci_low"], primary.loc[name, "ci_high"])
            assert row["p_adjusted"] == primary.loc[name, "p_adjusted"]
            assert row["sections_changed"] == 0
    cut = table[(table["value"] == "0.4") & (table["endpoint"] == PRIMARY[0])].iloc[0]
    tiles = table[table["value"] == "0.7"].set_index("endpoint")
    assert cut["sections_changed"] == 0  # what is medulla is parenchyma either way
    assert tiles.loc["cd45_area_fraction", "sections_changed"] == 0
    assert tiles.loc["segregation_index_50um", "sections_changed"] > 0
    said = table[table["endpoint"] == ""]
    assert said["reason"].str.startswith("not varied: ").all()
    assert (finished / "tables" / "sensitivity.csv").is_file()


def test_the_gate_and_the_tissue_are_varied_from_the_slide(finished: Path) -> None:
    gate = Variant(GATE, "1.25 × its height above the background", (), 1.25)
    tissue = parse_variants(["tissue.threshold=0.12,0.2"], product=False)
    run = settings_of(finished)
    table = sensitivity.run_sensitivity(finished, run, read_sections(finished), variants=(gate, *tissue), workers=1)
    fraction = table[table["endpoint"] == "cd45_area_fraction"].set_index("setting")
    assert fraction.loc[GATE, "sections_changed"] == 4
    assert bool(fraction.loc[GATE, "sign_holds"])
    same = table[table["value"] == "0.12"]
    assert (same["sections_changed"] == 0).all()
    other = table[(table["setting"] == GATE) & (table["endpoint"] == "segregation_index_50um")].iloc[0]
    assert other["sections_changed"] == 0  # human CD45 decides nothing about the stains
    lines = summary_lines(table)
    held = int(fraction[~fraction["is_default"] & fraction["sections_changed"].gt(0)]["sign_holds"].sum())
    assert lines[0].startswith(f"cd45_area_fraction, B against A: the sign held in {held} of 2 settings")
    assert "1 more change nothing" in lines[0]


def test_a_second_call_measures_nothing_again(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = varied(finished, "compartments.k14_cut=0.3")

    def never(*_: object, **__: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(sensitivity, "_measure", never)
    pd.testing.assert_frame_equal(first, varied(finished, "compartments.k14_cut=0.3"), check_exact=True)


def test_without_slide_or_bundle_it_is_said(finished: Path, tmp_path: Path) -> None:
    out = shutil.copytree(finished, tmp_path / "out")
    slides = {path: path.rename(path.with_suffix(".away")) for path in finished.parent.glob("*.tif")}
    try:
        table = varied(out, "tissue.threshold=0.2", "compartments.k8_cut=0.3")
    finally:
        for path, away in slides.items():
            away.rename(path)
    moved = table[table["setting"] == "tissue.threshold"]
    assert moved["reason"].str.startswith("not varied: in 4 of 4 sections: needs the slide, and ").all()
    assert moved["sign_holds"].isna().all()
    assert table[table["setting"] == "compartments.k8_cut"]["sign_holds"].notna().all()
    assert "1 could not be tried" in summary_lines(table)[0]
    shutil.rmtree(out / "sections" / "s2.zarr")
    with pytest.raises(UnreadableError, match="the intermediates of 1 of 4 sections are gone"):
        varied(out, "compartments.k8_cut=0.3")


def test_a_wrong_setting_is_refused_before_any_work(finished: Path) -> None:
    with pytest.raises(SettingsError, match="no setting"):
        varied(finished, "compartments.medula_cut=0.4")
    with pytest.raises(SettingsError, match="less than 1"):
        varied(finished, "compartments.medulla_cut=1.4")
    with pytest.raises(CallError, match="expected SETTING=VALUE"):
        varied(finished, "compartments.medulla_cut")
    run = settings_of(finished)
    undeclared = run.model_copy(update={"study": run.study.model_copy(update={"primary": ()})})
    with pytest.raises(CallError, match="needs primary endpoints"):
        sensitivity.run_sensitivity(finished, undeclared, read_sections(finished), workers=1)


def test_the_grid_covers_what_the_endpoints_read() -> None:
    run = Settings()
    read = {"compartments.medulla_cut", "measurements.psf_sigma_um", "measurements.tile_min_coverage"}
    found = one_at_a_time(run, read, ["cd45_area_fraction"])
    names = [v.label for v in found]
    assert names.count("compartments.medulla_cut") == 4
    assert [v.value for v in found if v.label == "measurements.psf_sigma_um"] == ["0.2", "0.4"]
    assert [v.value for v in found if v.label == "measurements.tile_min_coverage"] == ["0.4", "0.625"]
    assert "compartments.k14_cut" not in names
    assert "tissue.threshold" in names
    assert names.count(GATE) == 4
    assert not any(name.startswith("cells.") for name in names)
    assert "cells.minimum_score" in [v.label for v in one_at_a_time(run, read, ["cd45_density_per_mm2"])]
    assert GATE not in [v.label for v in one_at_a_time(run, read, ["cortical_coverage"])]
    for variant in found:
        variant.settings(run)


def test_a_grid_is_every_combination() -> None:
    found = parse_variants(["compartments.k14_cut=0.3,0.5", "compartments.k8_cut=0.3,0.5"], product=True)
    assert len(found) == 4
    assert found[1].settings(Settings()).compartments.k14_cut == 0.3
    assert found[1].settings(Settings()).compartments.k8_cut == 0.5
