from __future__ import annotations

import cv2
import numpy as np
import pytest

from thymusimg.compartments.model import PARENCHYMA, Compartment
from thymusimg.errors import SettingsError
from thymusimg.phantom import PRESETS, CameraSpec, OpticsSpec, Phantom, PhantomSpec, make_phantom
from thymusimg.phantom.drawn.profiles import place_profiles
from thymusimg.phantom.drawn.scene import draw_scene
from thymusimg.phantom.section import as_section

SMALL = PhantomSpec(area_mm2=0.12, islets=2)


def drawn(spec: PhantomSpec, seed: int, **options: float) -> Phantom:
    return make_phantom(spec, seed, generator="drawn", **options)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return drawn(SMALL, 11)


@pytest.fixture(scope="module")
def packed() -> Phantom:
    spec = SMALL.model_copy(update={"cd45_cortex_per_mm2": 20_000.0, "cd45_medulla_per_mm2": 6000.0, "dapi": True})
    return drawn(spec, 5)


def test_same_seed_same_bytes(phantom: Phantom) -> None:
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1 if threads > 1 else 2)
        again = drawn(SMALL, 11)
    finally:
        cv2.setNumThreads(threads)
    assert again.pixels.tobytes() == phantom.pixels.tobytes()
    assert again.truth.instances.tobytes() == phantom.truth.instances.tobytes()
    assert again.truth.cells.equals(phantom.truth.cells)
    assert drawn(SMALL, 12).pixels.tobytes() != phantom.pixels.tobytes()


def test_it_is_not_the_other_generator(phantom: Phantom) -> None:
    other = make_phantom(SMALL, 11)
    assert phantom.truth.parameters["generator"] == "drawn"
    assert phantom.channel_names == other.channel_names
    assert phantom.roles == other.roles
    assert set(phantom.truth.cells.columns) == set(other.truth.cells.columns)
    assert set(phantom.truth.values) == set(other.truth.values)
    assert set(other.truth.psf) <= set(phantom.truth.psf)
    assert phantom.truth.labels.shape != other.truth.labels.shape


def test_a_switch_of_the_optics_moves_no_tissue(phantom: Phantom) -> None:
    hard = drawn(SMALL.hard(), 11)
    whole = ~hard.truth.artefact & hard.truth.tissue
    assert np.array_equal(hard.truth.labels[whole], phantom.truth.labels[whole])
    assert hard.pixels.shape == phantom.pixels.shape
    assert (
        np.array_equal(hard.truth.clean[1:], phantom.truth.clean[1:])
        or hard.truth.tissue.sum() < phantom.truth.tissue.sum()
    )


@pytest.mark.parametrize(
    ("name", "seed"),
    [(n, s) for n in ("untreated_nsg", "cd34_10wk", "progenitor_10wk") for s in range(3)] + [("wild_type", 0)],
)
def test_the_scene_is_what_was_asked_for(name: str, seed: int) -> None:
    preset = PRESETS[name]
    spec = preset.draw(seed)
    scene = draw_scene(spec, seed, 2.0, None)
    labels = scene.labels
    assert scene.tissue.sum() * scene.grid.pixel_area_mm2 == pytest.approx(spec.area_mm2, rel=0.02)
    parenchyma = np.isin(labels, PARENCHYMA).sum()
    share = {c: (labels == c).sum() / parenchyma for c in PARENCHYMA}
    assert share[Compartment.MEDULLA] == pytest.approx(spec.medulla_fraction, abs=0.015)
    assert share[Compartment.INDETERMINATE] == pytest.approx(spec.indeterminate_fraction, abs=0.02)
    assert (labels == Compartment.CYST).sum() / scene.tissue.sum() == pytest.approx(spec.cyst_fraction, abs=0.012)
    assert np.array_equal(labels > 0, scene.tissue)
    _, _, stats, _ = cv2.connectedComponentsWithStats((labels == Compartment.MEDULLA).astype(np.uint8))
    islets = int((stats[1:, cv2.CC_STAT_AREA] * 4.0 >= 1500).sum())
    low, high = preset.ranges["islets"]
    # septa and vessels cut an islet now and then, and warped neighbours may touch
    assert low <= islets <= 1.2 * high + 1
    assert 0.6 * spec.islets - 1 <= islets <= 1.3 * spec.islets + 1
    cells = place_profiles(spec, seed, scene)
    for zone, code in (("cortex", 1), ("medulla", 2)):
        expected = getattr(spec, f"cd45_{zone}_per_mm2") * (labels == code).sum() * scene.grid.pixel_area_mm2
        found = (cells["compartment"] == code).sum()
        # patches, clusters and Poisson; the mean of a compartment is kept
        assert abs(found - expected) < 5 * np.sqrt(8 * expected + 1) + 0.03 * expected


def test_density_comes_out_as_asked_up_to_packed() -> None:
    for density in (500.0, 5000.0, 20_000.0):
        spec = SMALL.model_copy(
            update={
                "patchiness": 0.0,
                "clustered": 0.0,
                "cd45_cortex_per_mm2": density,
                "cd45_medulla_per_mm2": density,
            }
        )
        values = [drawn(spec, seed, pixel_size_um=1.0).truth.values for seed in range(2)]
        counts = sum(v["cd45_density_cortex_per_mm2"] * v["cortex_area_mm2"] for v in values)
        expected = density * sum(v["cortex_area_mm2"] for v in values)
        assert counts == pytest.approx(expected, abs=4 * np.sqrt(expected) + 0.02 * expected)


def test_instances_belong_to_their_cells(packed: Phantom) -> None:
    human, labels = packed.truth.human, packed.truth.instances
    assert labels.dtype == np.uint32
    assert list(human["instance"]) == list(range(1, len(human) + 1))
    assert np.array_equal(np.unique(labels), np.arange(len(human) + 1))
    pixel = packed.pixel_size_um
    at = np.round(human[["y_um", "x_um"]].to_numpy(float) / pixel).astype(int)
    at = np.clip(at, 0, np.array(labels.shape) - 1)
    assert (labels[at[:, 0], at[:, 1]] == human["instance"].to_numpy()).mean() > 0.99
    seen = human["visible_area_um2"].to_numpy(float)
    disc = np.pi * human["radius_um"].to_numpy(float) ** 2
    assert np.isclose(seen.sum(), (labels > 0).sum() * pixel**2)
    assert 0.8 < np.median(seen / disc) <= 1.02


def test_every_label_is_one_piece(packed: Phantom) -> None:
    labels = packed.truth.instances
    pieces = 0
    for row in packed.truth.human.sample(200, random_state=1).itertuples():
        y, x = round(row.y_um / 0.5), round(row.x_um / 0.5)
        box = (labels[max(0, y - 14) : y + 15, max(0, x - 14) : x + 15] == row.instance).astype(np.uint8)
        pieces += cv2.connectedComponents(box, connectivity=8)[0] - 1
    assert pieces <= 202


def test_neighbours_flatten_but_do_not_overlap_much(packed: Phantom) -> None:
    from scipy.spatial import cKDTree

    cells = packed.truth.cells.query("type != 'macrophage'")
    place, radius = cells[["y_um", "x_um"]].to_numpy(float), cells["radius_um"].to_numpy(float)
    pairs = cKDTree(place).query_pairs(11.0, output_type="ndarray")
    ratio = np.linalg.norm(place[pairs[:, 0]] - place[pairs[:, 1]], axis=1) / radius[pairs].sum(1)
    assert (ratio[ratio < 1] > 0.7).mean() > 0.97
    assert ratio.min() > 0.2


def test_rings_are_brighter_than_what_they_enclose() -> None:
    spec = SMALL.model_copy(update={"cd45_cortex_per_mm2": 800.0, "cd45_medulla_per_mm2": 800.0, "clustered": 0.0})
    p = drawn(spec, 3)
    cd45, labels = p.truth.clean[0], p.truth.instances
    assert (cd45[labels == 0] > 0.5).mean() < 1e-3
    inner = cv2.erode((labels > 0).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=3) > 0
    rim = (labels > 0) & ~(cv2.erode((labels > 0).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=2) > 0)
    assert cd45[rim].mean() > 1.6 * cd45[inner].mean()
    assert p.truth.human["brightness"].std() == pytest.approx(spec.cd45_cv, rel=0.4)


def test_keratins_mark_their_compartments(phantom: Phantom) -> None:
    labels = phantom.truth.labels
    k14, k8 = coarse(phantom, 1), coarse(phantom, 2)
    cortex, medulla = labels == Compartment.CORTEX, labels == Compartment.MEDULLA
    assert k14[medulla].mean() > 4 * k14[cortex].mean()
    assert 0.3 < k8[medulla].mean() / k8[cortex].mean() < 0.9
    assert k8[labels == Compartment.BACKGROUND].mean() < 0.02
    poor = labels == Compartment.INDETERMINATE
    assert k8[poor].mean() < 0.4 * k8[cortex].mean()


def test_order_keeps_keratins_apart() -> None:
    contrast = []
    for order in (0.0, 0.5, 1.0):
        p = drawn(
            PhantomSpec(area_mm2=0.3, order=order, medulla_fraction=0.3, boundary_fuzz_um=8.0), 4, pixel_size_um=1.0
        )
        share = coarse(p, 1) / (coarse(p, 1) + coarse(p, 2) + 1e-3)
        labels = p.truth.labels
        contrast.append(share[labels == Compartment.MEDULLA].mean() - share[labels == Compartment.CORTEX].mean())
    assert contrast == sorted(contrast)
    assert contrast[2] > 1.3 * contrast[0]


def coarse(p: Phantom, channel: int) -> np.ndarray:
    f, (h, w) = p.truth.grid.factor, p.truth.grid.shape
    plane = p.truth.clean[channel]
    plane = np.pad(plane, ((0, h * f - plane.shape[0]), (0, w * f - plane.shape[1])), mode="edge")
    mean: np.ndarray = plane.reshape(h, f, w, f).mean((1, 3))
    return mean


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_can_be_drawn(name: str) -> None:
    p = drawn(PRESETS[name].draw(2), 2, size_mm=0.5, pixel_size_um=1.0)
    assert p.pixels.shape == (3, 500, 500)
    values = p.truth.values
    if name in ("no_cells", "wild_type"):
        assert values["cd45_count"] == 0
    if name == "no_architecture":
        assert values["medulla_area_mm2"] == 0
        assert np.isnan(values["medulla_fraction"])
        assert values["cd45_count"] > 0


def test_hard_optics_leave_every_fault() -> None:
    bad = SMALL.hard().optics.model_copy(update={"bubbles": 2})
    p = drawn(SMALL.model_copy(update={"optics": bad}), 3)
    easy = drawn(SMALL, 3)
    assert p.truth.artefact.any()
    assert (p.truth.labels == Compartment.ARTEFACT).any()
    assert p.truth.tissue.sum() < easy.truth.tissue.sum()
    assert (p.truth.cells["type"] == "macrophage").any()
    assert np.abs(p.truth.mixing - np.eye(3)).max() > np.abs(easy.truth.mixing - np.eye(3)).max()


def test_perfect_optics_show_the_stain_itself() -> None:
    camera = CameraSpec(peak_electrons=20_000, read_noise_e=0, gain_dn_per_e=1, offset_dn=0)
    p = drawn(SMALL.model_copy(update={"optics": OpticsSpec.none(), "camera": camera}), 2, pixel_size_um=1.0)
    ok = p.truth.clean < 3
    assert np.abs(p.pixels[ok] / 20_000.0 - p.truth.clean[ok]).max() < 0.08
    assert np.array_equal(p.truth.mixing, np.eye(3))


@pytest.mark.parametrize("extreme", [0.0, 1.0])
def test_all_or_no_medulla(extreme: float) -> None:
    spec = SMALL.model_copy(
        update={"medulla_fraction": extreme, "indeterminate_fraction": 0.0, "cyst_fraction": 0.0}
    )
    values = drawn(spec, 1, pixel_size_um=1.0).truth.values
    assert values["medulla_fraction"] == pytest.approx(extreme, abs=0.01)


def test_a_tiny_lobe_is_no_error() -> None:
    p = drawn(PhantomSpec(area_mm2=0.01, septa=0, vessels=0, islets=60, lobules=4), 1)
    assert p.truth.values["islet_count"] >= 0
    assert p.truth.tissue.sum() * p.truth.grid.pixel_area_mm2 == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize(
    ("pixel", "size", "seed", "word"),
    [(5.0, None, 0, "pixel_size_um"), (0.5, 0.001, 0, "size_mm"), (0.5, 9.0, 0, "memory"), (0.5, None, -1, "seed")],
)
def test_impossible_slides_are_refused(pixel: float, size: float | None, seed: int, word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        make_phantom(PhantomSpec(), seed, pixel_size_um=pixel, size_mm=size, generator="drawn")


def test_no_cells_at_all_is_no_error() -> None:
    p = drawn(
        SMALL.model_copy(update={"cd45_cortex_per_mm2": 0.0, "cd45_medulla_per_mm2": 0.0}), 1, pixel_size_um=1.0
    )
    assert p.truth.human.empty
    assert p.truth.instances.max() == 0
    assert p.truth.values["cd45_density_per_mm2"] == 0


def test_a_shrunken_lobe_holds_fewer_islets() -> None:
    spec = PhantomSpec(area_mm2=3.0, islets=12)
    count = []
    for size in (None, 1.0):
        labels = draw_scene(spec, 4, 2.0, size).labels
        count.append(cv2.connectedComponents((labels == Compartment.MEDULLA).astype(np.uint8))[0] - 1)
    assert count[1] < 0.6 * count[0]


@pytest.mark.parametrize("pixel", [0.325, 0.65])
def test_pixel_size_changes_sampling_only(pixel: float) -> None:
    p = drawn(SMALL, 8, pixel_size_um=pixel)
    assert p.truth.tissue.sum() * p.truth.grid.pixel_area_mm2 == pytest.approx(0.12, rel=0.03)


def test_a_drawn_phantom_is_a_section(phantom: Phantom) -> None:
    section = as_section(phantom, "p1")
    assert section.grid == phantom.truth.grid
