from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from thymusimg.compartments.keratin import segment_compartments
from thymusimg.compartments.model import Compartment, Compartments, Tissue
from thymusimg.compartments.tissue import find_tissue
from thymusimg.errors import TissueError
from thymusimg.section.model import Grid
from thymusimg.section.survey import Survey
from thymusimg.settings import CompartmentSettings, TissueSettings

SHAPE = (440, 440)
Y, X = np.indices(SHAPE)
AWAY = np.hypot(Y - 220, X - 220)
LOBE = AWAY <= 190
CORE = np.hypot(Y - 210, X - 200) <= 80
Planes = dict[str, np.ndarray]


def paint(lobe: np.ndarray = LOBE, core: np.ndarray = CORE, seed: int = 1) -> Planes:
    rng = np.random.default_rng(seed)
    mesh = rng.gamma(2.0, 0.5, (2, *lobe.shape))
    k8 = 100 + 800 * mesh[0] * ((lobe & ~core) + 0.45 * (core & lobe)) + 40 * lobe
    k14 = 100 + 1000 * mesh[1] * (core & lobe) + 40 * lobe
    noise = rng.normal(0, 5, (2, *lobe.shape))
    return {"k14": (k14 + noise[0]).astype(np.float32), "k8": (k8 + noise[1]).astype(np.float32)}


def survey(planes: Planes, valid: np.ndarray | None = None) -> Survey:
    shape = planes["k14"].shape
    return Survey(Grid(shape, 2.0, 1), planes, np.ones(shape, bool) if valid is None else valid, pd.DataFrame(), {})


def analyse(planes: Planes, valid: np.ndarray | None = None) -> tuple[Tissue, Compartments]:
    seen = survey(planes, valid)
    tissue = find_tissue(seen, TissueSettings())
    lit = {role: plane - np.float32(tissue.background[role]) for role, plane in planes.items()}
    return tissue, segment_compartments(lit, tissue, seen.grid, CompartmentSettings())


def spot(y: float, x: float, radius: float) -> np.ndarray:
    return np.hypot(Y - y, X - x) <= radius


def test_lined_cyst_belongs_to_the_tissue_and_is_no_medulla() -> None:
    lumen, lined = spot(320, 250, 20), spot(320, 250, 24)
    planes = paint()
    for role, level in (("k14", 4000), ("k8", 2500)):
        planes[role][lined] = level
        planes[role][lumen] = 103
    tissue, found = analyse(planes)
    assert tissue.mask[lumen].all()
    assert (found.labels[lumen] == Compartment.CYST).mean() > 0.95
    assert not (found.labels[spot(320, 250, 40)] == Compartment.MEDULLA).any()


def lined(planes: Planes, lumen: np.ndarray, lining: np.ndarray) -> Planes:
    for role, level in (("k14", 4000), ("k8", 2500)):
        planes[role][lining] = level
        planes[role][lumen] = 103
    return planes


def test_all_of_a_thick_lining_is_cyst_and_no_artefact_lies_around_it() -> None:
    lumen, lining = spot(320, 250, 25), spot(320, 250, 33)
    tissue, found = analyse(lined(paint(), lumen, lining))
    cyst = found.labels == Compartment.CYST
    assert cyst[lining].mean() > 0.98
    assert np.count_nonzero(cyst & ~lining) < 0.1 * np.count_nonzero(lining)
    assert not tissue.artefact.any()


def test_cyst_under_a_thin_capsule_stays_closed() -> None:
    lumen, lining = spot(378, 220, 26), spot(378, 220, 29)
    tissue, found = analyse(lined(paint(), lumen, lining))
    assert tissue.mask[lumen].all()
    assert (found.labels[lumen] == Compartment.CYST).mean() > 0.95


def test_meshes_beside_a_cyst_do_not_make_it_fat() -> None:
    lumen, lining = spot(320, 250, 30), spot(320, 250, 34)
    planes = lined(paint(), lumen, lining)
    for angle in (0.0, 0.3, 0.6, 0.9):
        mesh = spot(320 + 40 * np.sin(angle), 250 + 40 * np.cos(angle), 3)
        planes["k14"][mesh] = planes["k8"][mesh] = 101
    found = analyse(planes)[1]
    assert (found.labels[lumen] == Compartment.CYST).mean() > 0.95


def test_fat_cells_that_cling_to_the_lobe_are_no_cysts() -> None:
    planes = paint()
    for angle in (0.3, 1.4, 2.6):
        y, x = 220 + 207 * np.sin(angle), 220 + 207 * np.cos(angle)
        for plane in planes.values():
            plane[spot(y, x, 20) & ~LOBE] = 1500
            plane[spot(y, x, 15) & ~LOBE] = 102
    assert not (analyse(planes)[1].labels == Compartment.CYST).any()


def test_dim_tissue_without_epithelium_is_neither_fat_nor_a_tear() -> None:
    dim, planes = spot(220, 320, 50), paint()
    rng = np.random.default_rng(2)
    for plane in planes.values():
        plane[dim] = 100 + 0.1 * (np.median(plane[LOBE]) - 100) + rng.normal(0, 5, np.count_nonzero(dim))
    tissue = analyse(planes)[0].mask
    assert tissue[dim].mean() > 0.95
    for plane in planes.values():
        plane[dim] = 100
    assert analyse(planes)[0].mask[dim].mean() < 0.2


def test_tissue_rich_in_both_keratins_beside_poor_tissue_is_no_fold() -> None:
    poor = (np.abs(Y - 330) < 40) & (np.abs(X - 220) < 110)
    band = (np.abs(Y - 330) < 10) & (np.abs(X - 220) < 80)
    planes = paint()
    plain = {role: plane.copy() for role, plane in planes.items()}
    for role, plane in planes.items():
        plane[poor] = 100 + 0.25 * (plane[poor] - 100)
        plane[band] = 100 + 1.5 * (plain[role][band] - 100)
    assert analyse(planes)[0].artefact[band].mean() < 0.1


def test_tear_stays_open_and_is_no_edge_of_the_capsule() -> None:
    tear = (np.abs(Y - 330) < 12) & (np.abs(X - 220) < 60)
    planes = paint(LOBE & ~tear)
    tissue, found = analyse(planes)
    assert tissue.mask[tear].mean() < 0.25  # glare and the smoothing that closes meshes narrow a tear
    assert not found.labels[tear & ~tissue.mask].any()
    beside = np.zeros(SHAPE, bool)
    beside[310, 220] = True
    assert found.depth_from_capsule_um[beside] == pytest.approx(2 * (190 - 90), abs=12)


def test_detached_debris_is_left_out_and_a_second_lobe_is_not() -> None:
    planes = paint(AWAY <= 120, np.hypot(Y - 210, X - 200) <= 50)
    planes["k14"][20:28, 20:30] += 5000
    planes["k8"][20:28, 20:30] += 5000
    lobe = spot(385, 385, 45)
    planes["k8"][lobe] += 800
    planes["k14"][lobe] += 40
    tissue, _ = analyse(planes)
    assert not tissue.mask[15:35, 15:35].any()
    assert tissue.mask[lobe].mean() > 0.95


def test_debris_on_the_tissue_is_an_artefact() -> None:
    speck = spot(330, 200, 6)
    planes = paint()
    for plane in planes.values():
        plane[speck] = 30_000
    _, found = analyse(planes)
    assert (found.labels[speck] == Compartment.ARTEFACT).all()
    assert not (found.labels[spot(330, 200, 20)] == Compartment.MEDULLA).any()


def test_fold_is_an_artefact_and_medulla_is_no_fold() -> None:
    band = (np.abs(Y - 350) < 10) & (np.abs(X - 220) < 90)
    planes = {role: np.where(band, 100 + 2.3 * (plane - 100), plane) for role, plane in paint().items()}
    tissue, found = analyse({role: plane.astype(np.float32) for role, plane in planes.items()})
    assert tissue.artefact[band].mean() > 0.6
    assert (found.labels[band & ~CORE] == Compartment.MEDULLA).mean() < 0.02
    assert not analyse(paint())[0].artefact.any()


@pytest.mark.parametrize("stains", [("k14", "k8"), ("k14",)])
def test_bright_capsule_is_other(stains: tuple[str, ...]) -> None:
    rim = LOBE & (AWAY > 182)  # 16 µm
    planes = paint()
    for role in stains:
        planes[role][rim] += 2500
    _, found = analyse(planes)
    assert (found.labels[rim] == Compartment.OTHER).mean() > 0.9
    assert not (found.labels[AWAY > 170] == Compartment.MEDULLA).any()
    assert (found.labels[LOBE & (AWAY > 160) & (AWAY < 170)] == Compartment.CORTEX).mean() > 0.95


def test_keratin_negative_capsule_is_other() -> None:
    inner = AWAY <= 183
    planes = paint(inner)
    for plane in planes.values():
        plane[LOBE & ~inner] += 40
    _, found = analyse(planes)
    assert (found.labels[LOBE & (AWAY > 186)] == Compartment.OTHER).mean() > 0.9
    assert found.cuts["capsule_um"] == pytest.approx(14, abs=5)


def test_mosaic_filling_is_neither_glass_nor_tissue() -> None:
    planes = paint()
    valid = np.ones(SHAPE, bool)
    valid[:, :120] = False
    for plane in planes.values():
        plane[~valid] = 0
    tissue, found = analyse(planes, valid)
    assert not tissue.mask[~valid].any()
    assert tissue.background["k8"] == pytest.approx(100, abs=3)
    assert (found.labels[CORE & valid & (X > 130)] == Compartment.MEDULLA).mean() > 0.95


def test_glass_may_be_brighter_from_tile_to_tile() -> None:
    planes = {role: plane + 3 * ((X // 110 + Y // 110) % 3).astype(np.float32) for role, plane in paint().items()}
    tissue, _ = analyse(planes)
    assert np.count_nonzero(tissue.mask ^ LOBE) < 0.03 * np.count_nonzero(LOBE)


def test_field_inside_the_tissue() -> None:
    planes = {role: np.ascontiguousarray(plane[100:300, 100:340]) for role, plane in paint().items()}
    tissue, found = analyse(planes)
    assert tissue.mask.all()
    assert "no bare glass" in tissue.notes[0]
    truth = CORE[100:300, 100:340]
    assert (found.labels[truth] == Compartment.MEDULLA).mean() > 0.9
    assert np.isnan(found.depth_from_capsule_um).all()
    assert "edge" in found.reasons["depth"]


def test_bare_glass_is_refused() -> None:
    rng = np.random.default_rng(0)
    glass = {role: (100 + rng.normal(0, 4, SHAPE)).astype(np.float32) for role in ("k14", "k8")}
    with pytest.raises(TissueError, match="no"):
        find_tissue(survey(glass), TissueSettings())
    with pytest.raises(TissueError, match="valid"):
        find_tissue(survey(glass, np.zeros(SHAPE, bool)), TissueSettings())
    for plane in glass.values():
        plane[40:50, 40:52] += 3000
    with pytest.raises(TissueError, match="tissue"):
        find_tissue(survey(glass), TissueSettings())


DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "thymus_wildtype"


@pytest.mark.real_data
@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real section is not at {DATA}")
def test_real_section() -> None:
    tifffile = pytest.importorskip("tifffile")
    pixels = tifffile.imread(DATA / "section1_CD11c_PDGFRb_CD205.ome.tif")
    truth = tifffile.imread(DATA / "section1_compartments.tif")
    planes = {"k14": pixels[0].astype(np.float32), "k8": pixels[2].astype(np.float32)}
    grid = Grid.of(truth.shape, 1.29)
    seen = Survey(grid, planes, pixels.any(0), pd.DataFrame(), {})
    tissue = find_tissue(seen, TissueSettings())
    lit = {role: plane - np.float32(tissue.background[role]) for role, plane in planes.items()}
    found = segment_compartments(lit, tissue, grid, CompartmentSettings())
    for code, least in ((Compartment.MEDULLA, 0.92), (Compartment.CORTEX, 0.93)):
        a, b = found.labels == code, truth == code
        assert 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)) >= least
    assert (found.labels[truth == 3] == Compartment.MEDULLA).mean() < 0.12
