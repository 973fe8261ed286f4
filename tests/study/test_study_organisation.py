from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from thymusimg.errors import SettingsError, StudyTableError
from thymusimg.measurements.columns import check_columns
from thymusimg.settings import Settings
from thymusimg.study.design import load_study
from thymusimg.study.organisation_index import COLUMNS, INDEX, reference_of, with_organisation_index

if TYPE_CHECKING:
    from pathlib import Path


def thymuses(groups: dict[str, float], n: int = 5, seed: int = 0) -> pd.DataFrame:
    """Animals whose organisation is a number from 0 (untreated) to 1 (wild type), with some spread."""
    draw = np.random.default_rng(seed)
    order = np.repeat(list(groups.values()), n) + draw.normal(0, 0.03, n * len(groups))
    return pd.DataFrame(
        {
            "animal": [f"m{i}" for i in range(order.size)],
            "group": np.repeat(list(groups), n),
            "medulla_fraction": 0.8 - 0.5 * order,
            "cmj_width_um": np.exp(4 - 2 * order),
            "segregation_index_50um": 0.1 + 0.6 * order,
            "cortical_coverage": 0.1 + 0.85 * order,
            "cyst_share": 0.1 * (1.1 - order),
            "indeterminate_share": 0.5 * (1.1 - order),
        }
    )


EARLIER = thymuses({"WT": 1.0, "NSG": 0.0})


def test_wild_type_is_high_and_the_order_is_kept() -> None:
    reference = reference_of(EARLIER, "WT", "NSG", "animals.csv")
    shades = {f"g{i}": i / 5 for i in range(6)}
    table = with_organisation_index(thymuses(shades, seed=1), reference)
    means = table.groupby("group", sort=False)[INDEX].mean()
    assert means.is_monotonic_increasing
    assert means["g5"] == pytest.approx(0, abs=1)
    parts = table[list(COLUMNS.values())]
    np.testing.assert_allclose(table[INDEX], parts.mean(axis=1))
    check_columns("animals", table[["animal", "group", INDEX, *parts]])


def test_the_reference_itself_has_mean_0_and_the_sd_within_groups() -> None:
    reference = reference_of(EARLIER, "WT", "NSG", "animals.csv")
    own = with_organisation_index(EARLIER, reference)
    for part in ("organisation_z_segregation", "organisation_z_burden", "organisation_z_sharpness"):
        assert own.loc[own["group"] == "WT", part].mean() == pytest.approx(0, abs=1e-9)
        assert np.sqrt(own.groupby("group")[part].var(ddof=1).mean()) == pytest.approx(1)


def test_units_of_components_do_not_matter() -> None:
    study = thymuses({"a": 0.3}, seed=2)
    scaled = (
        EARLIER.assign(cmj_width_um=EARLIER["cmj_width_um"] * 7),
        study.assign(cmj_width_um=study["cmj_width_um"] * 7),
    )
    one = with_organisation_index(study, reference_of(EARLIER, "WT", "NSG", "x"))
    other = with_organisation_index(scaled[1], reference_of(scaled[0], "WT", "NSG", "x"))
    np.testing.assert_allclose(one[INDEX], other[INDEX])


def test_undefined_is_said() -> None:
    alone = with_organisation_index(thymuses({"a": 0.5}), None)
    assert alone[INDEX].isna().all()
    assert set(alone[f"{INDEX}_reason"]) == {"no external reference was declared"}
    study = thymuses({"a": 0.5})
    study.loc[0, "cmj_width_um"] = np.nan
    found = with_organisation_index(study, reference_of(EARLIER, "WT", "NSG", "x"))
    assert found.loc[0, f"{INDEX}_reason"] == "undefined: cmj_width_um"
    assert np.isfinite(found.loc[0, "organisation_z_coverage"])
    assert np.isfinite(found.loc[1, INDEX])


def test_untreated_may_have_no_junction() -> None:
    earlier = EARLIER.copy()
    earlier.loc[earlier["group"] == "NSG", "cmj_width_um"] = np.nan
    reference = reference_of(earlier, "WT", "NSG", "x")
    width = np.log(EARLIER.loc[EARLIER["group"] == "WT", "cmj_width_um"])
    assert reference.sharpness.sd == pytest.approx(width.std(ddof=1))


def test_bad_references_are_refused() -> None:
    with pytest.raises(StudyTableError, match="0 animals in 'wt'; a reference needs at least 3"):
        reference_of(EARLIER, "wt", "NSG", "animals.csv")
    flat = EARLIER.assign(cortical_coverage=1.0)
    with pytest.raises(
        StudyTableError, match="cortical_coverage is defined in 5 animals of 'WT' and has no spread"
    ):
        reference_of(flat, "WT", "NSG", "animals.csv")
    with pytest.raises(SettingsError, match="belong together"):
        Settings.from_mapping({"study": {"wild_type": "WT"}})


def study_in(folder: Path, animal: str) -> Path:
    (folder / "a.tif").write_bytes(b"")
    table = f"section_id,path,animal,group\ns1,a.tif,{animal},WT\n"
    (folder / "study.csv").write_text(table, encoding="utf-8")
    EARLIER.to_csv(folder / "earlier.csv", index=False)
    toml = folder / "study.toml"
    toml.write_text(
        '[study]\ntable = "study.csv"\norganisation_reference = "earlier.csv"\nwild_type = "WT"\n'
        'untreated = "NSG"\n',
        encoding="utf-8",
    )
    return toml


def test_a_study_reads_its_reference_once(tmp_path: Path) -> None:
    study = load_study(study_in(tmp_path, "another"))
    assert study.settings.study.organisation == reference_of(EARLIER, "WT", "NSG", "x")
    again = Settings.from_mapping(study.settings.model_dump(mode="json"))
    assert again.study.organisation == study.settings.study.organisation


def test_the_studys_own_animals_are_no_reference(tmp_path: Path) -> None:
    with pytest.raises(StudyTableError, match=r"m1 \(WT\) are animals of this study"):
        load_study(study_in(tmp_path, "m1"))
    toml = study_in(tmp_path, "another")
    (tmp_path / "earlier.csv").unlink()
    with pytest.raises(StudyTableError, match="cannot be read"):
        load_study(toml)
