from __future__ import annotations

import numpy as np
import pytest

from thymusimg.compartments.model import PARENCHYMA, Compartment
from thymusimg.phantom import PRESETS, CameraSpec, OpticsSpec, Phantom, PhantomSpec, make_phantom
from thymusimg.phantom.bodies import Bodies, draw_bodies, label_profiles
from thymusimg.phantom.camera import expose
from thymusimg.phantom.section import as_section
from thymusimg.section.model import Image, Window

SMALL = PhantomSpec(area_mm2=0.12, islets=2)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(SMALL, 11)


@pytest.fixture(scope="module")
def packed() -> Phantom:
    spec = SMALL.model_copy(update={"cd45_cortex_per_mm2": 15_000.0, "cd45_medulla_per_mm2": 5000.0, "dapi": True})
    return make_phantom(spec, 5)


def test_same_seed_same_bytes(phantom: Phantom) -> None:
    again = make_phantom(SMALL, 11)
    assert again.pixels.tobytes() == phantom.pixels.tobytes()
    assert again.truth.instances.tobytes() == phantom.truth.instances.tobytes()
    assert again.truth.cells.equals(phantom.truth.cells)
    assert make_phantom(SMALL, 12).pixels.tobytes() != phantom.pixels.tobytes()


def test_a_switch_of_the_optics_moves_no_tissue(phantom: Phantom) -> None:
    hard = make_phantom(SMALL.hard(), 11)
    whole = ~hard.truth.artefact & hard.truth.tissue
    assert np.array_equal(hard.truth.labels[whole], phantom.truth.labels[whole])
    assert hard.pixels.shape == phantom.pixels.shape
    assert hard.pixels.tobytes() != phantom.pixels.tobytes()


def test_areas_are_what_was_asked_for(phantom: Phantom) -> None:
    truth, spec = phantom.truth, phantom.spec
    pixel = truth.grid.pixel_area_mm2
    assert truth.tissue.sum() * pixel == pytest.approx(spec.area_mm2, rel=0.03)
    parenchyma = np.isin(truth.labels, PARENCHYMA).sum()
    assert (truth.labels == Compartment.MEDULLA).sum() / parenchyma == pytest.approx(
        spec.medulla_fraction, abs=0.03
    )
    share = (truth.labels == Compartment.INDETERMINATE).sum() / parenchyma
    assert share == pytest.approx(spec.indeterminate_fraction, abs=0.03)
    assert np.array_equal(truth.labels > 0, truth.tissue)


def test_values_follow_from_the_labels(phantom: Phantom) -> None:
    truth = phantom.truth
    area = (truth.labels == Compartment.CORTEX).sum() * truth.grid.pixel_area_mm2
    assert truth.values["cortex_area_mm2"] == pytest.approx(area)
    cells = truth.human
    inside = cells["compartment"].isin([int(c) for c in PARENCHYMA]).sum()
    assert truth.values["cd45_count"] == inside


def test_density_comes_out_as_asked() -> None:
    counts, expected = 0.0, 0.0
    for seed in range(3):
        spec = SMALL.model_copy(update={"patchiness": 0.0, "clustered": 0.0, "cd45_cortex_per_mm2": 9000.0})
        values = make_phantom(spec, seed, pixel_size_um=1.0).truth.values
        counts += values["cd45_density_cortex_per_mm2"] * values["cortex_area_mm2"]
        expected += 9000 * values["cortex_area_mm2"]
    assert counts == pytest.approx(expected, rel=0.08)


def test_bodies_do_not_share_space(packed: Phantom) -> None:
    from scipy.spatial import cKDTree

    cells = packed.truth.cells
    cells = cells[cells["type"] != "macrophage"]
    place = cells[["y_um", "x_um", "z_um"]].to_numpy(float)
    radius = cells["body_radius_um"].to_numpy(float)
    pairs = cKDTree(place).query_pairs(11.0, output_type="ndarray")
    apart = np.linalg.norm(place[pairs[:, 0]] - place[pairs[:, 1]], axis=1)
    assert len(pairs) > 1000
    assert (apart >= radius[pairs].sum(1) - 1e-9).all()


def test_instances_belong_to_their_cells(packed: Phantom) -> None:
    human, labels = packed.truth.human, packed.truth.instances
    assert labels.dtype == np.uint32
    assert list(human["instance"]) == list(range(1, len(human) + 1))
    assert labels.max() <= len(human)
    pixel = packed.pixel_size_um
    at = np.round(human[["y_um", "x_um"]].to_numpy(float) / pixel).astype(int)
    at = np.clip(at, 0, np.array(labels.shape) - 1)
    # overlaps in projection are divided, yet nearly every cell owns its own centre
    assert (labels[at[:, 0], at[:, 1]] == human["instance"].to_numpy()).mean() > 0.93
    seen = human["visible_area_um2"].to_numpy(float)
    disc = np.pi * human["radius_um"].to_numpy(float) ** 2
    assert np.isclose(seen.sum(), (labels > 0).sum() * pixel**2)
    assert (seen <= disc + 12 * pixel * np.sqrt(disc)).all()


def test_types_and_channels(packed: Phantom) -> None:
    assert packed.channel_names == ("hCD45", "KRT14", "KRT8", "DAPI")
    assert {"human", "mouse"} <= set(packed.truth.cells["type"])
    mouse = packed.truth.cells.query("type == 'mouse'")
    assert (mouse["instance"] == 0).all()


def test_keratins_mark_their_compartments(phantom: Phantom) -> None:
    k14, k8 = _coarse(phantom, 1), _coarse(phantom, 2)
    cortex = phantom.truth.labels == Compartment.CORTEX
    medulla = phantom.truth.labels == Compartment.MEDULLA
    assert k14[medulla].mean() > 4 * k14[cortex].mean()
    assert 0.3 < k8[medulla].mean() / k8[cortex].mean() < 0.9
    assert k8[phantom.truth.labels == Compartment.BACKGROUND].mean() < 0.02


def test_order_keeps_keratins_apart() -> None:
    contrast = []
    for order in (0.0, 0.5, 1.0):
        p = make_phantom(SMALL.model_copy(update={"order": order, "medulla_fraction": 0.3}), 4, pixel_size_um=1.0)
        share = _coarse(p, 1) / (_coarse(p, 1) + _coarse(p, 2) + 1e-3)
        labels = p.truth.labels
        contrast.append(share[labels == Compartment.MEDULLA].mean() - share[labels == Compartment.CORTEX].mean())
    assert contrast == sorted(contrast)
    assert contrast[2] > 1.3 * contrast[0]


def _coarse(p: Phantom, channel: int) -> np.ndarray:
    f, (h, w) = p.truth.grid.factor, p.truth.grid.shape
    plane = p.truth.clean[channel]
    plane = np.pad(plane, ((0, h * f - plane.shape[0]), (0, w * f - plane.shape[1])), mode="edge")
    mean: np.ndarray = plane.reshape(h, f, w, f).mean((1, 3))
    return mean


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_can_be_drawn(name: str) -> None:
    p = make_phantom(PRESETS[name].draw(2), 2, size_mm=0.5, pixel_size_um=1.0)
    assert p.pixels.shape == (3, 500, 500)
    values = p.truth.values
    if name in ("no_cells", "wild_type"):
        assert values["cd45_count"] == 0
    if name == "no_architecture":
        assert values["medulla_area_mm2"] == 0
        assert np.isnan(values["medulla_fraction"])
        assert values["cd45_count"] > 0


def test_hard_optics_leave_every_fault() -> None:
    p = make_phantom(SMALL.hard(), 3)
    easy = make_phantom(SMALL, 3)
    assert p.truth.artefact.any()
    assert (p.truth.labels == Compartment.ARTEFACT).any()
    assert p.truth.tissue.sum() < easy.truth.tissue.sum()
    assert (p.truth.cells["type"] == "macrophage").any()
    assert np.abs(p.truth.mixing - np.eye(3)).max() > np.abs(easy.truth.mixing - np.eye(3)).max()
    glass = ~easy.truth.tissue & ~p.truth.artefact
    assert glass.any()


def test_perfect_optics_show_the_stain_itself() -> None:
    camera = CameraSpec(peak_electrons=20_000, read_noise_e=0, gain_dn_per_e=1, offset_dn=0)
    p = make_phantom(SMALL.model_copy(update={"optics": OpticsSpec.none(), "camera": camera}), 2, pixel_size_um=1.0)
    ok = p.truth.clean < 3
    assert np.abs(p.pixels[ok] / 20_000.0 - p.truth.clean[ok]).max() < 0.08
    assert np.array_equal(p.truth.mixing, np.eye(3))


@pytest.mark.parametrize(
    ("depth", "dtype", "most"), [(8, np.uint8, 255), (12, np.uint16, 4095), (16, np.uint16, 65535)]
)
def test_camera_clips_at_its_bits(depth: int, dtype: type, most: int) -> None:
    camera = CameraSpec.model_validate({"bit_depth": depth, "gain_dn_per_e": 200})
    out = expose(np.full((8, 8), 50, np.float32), camera, 1)
    assert out.dtype == dtype
    assert out.max() == most


@pytest.mark.parametrize("electrons", [0.0, 3.0, 11.9, 12.1, 200.0])
def test_camera_noise_is_poisson(electrons: float) -> None:
    camera = CameraSpec(peak_electrons=100, read_noise_e=2, gain_dn_per_e=4, offset_dn=100)
    out = expose(np.full((600, 600), electrons / 100, np.float32), camera, 9).astype(float)
    assert out.mean() == pytest.approx(100 + 4 * electrons, abs=0.15)
    assert out.var() == pytest.approx(16 * (electrons + 4), rel=0.02)
    flat = out.ravel() - out.mean()
    assert abs(np.corrcoef(flat[:-1], flat[1:])[0, 1]) < 0.01


def test_a_sphere_in_the_slab_has_its_volume() -> None:
    one = np.ones(1)
    out = np.zeros((200, 200), np.float32)
    draw_bodies(Bodies(one * 10, one * 10, one * 5, one * 4, one * 4), one, 10.0, 0.1, out)
    # the light of a solid sphere is its path over the diameter: volume / diameter
    assert out.sum() * 0.01 == pytest.approx(4 / 3 * np.pi * 64 / 8, rel=2e-3)
    cut = np.zeros_like(out)
    draw_bodies(Bodies(one * 10, one * 10, one * 0, one * 4, one * 4), one, 10.0, 0.1, cut)
    assert cut.sum() == pytest.approx(out.sum() / 2, rel=1e-4)


def test_a_membrane_is_brightest_at_its_rim() -> None:
    one = np.ones(1)
    out = np.zeros((161, 161), np.float32)
    draw_bodies(Bodies(one * 8, one * 8, one * 3.5, one * 3.25, one * 0.4), one, 7.0, 0.1, out)
    profile = out[80, 80:]
    assert abs(np.argmax(profile) * 0.1 - 2.85) < 0.11
    assert profile[0] == pytest.approx(0.8 / (2 * np.sqrt(3.25**2 - 2.85**2)), rel=0.01)


def test_overlapping_profiles_meet_half_way() -> None:
    labels = label_profiles(np.array([10.0, 10.0]), np.array([8.0, 12.0]), np.array([3.0, 3.0]), 0.1, (200, 200))
    assert labels[100, 99] == 1
    assert labels[100, 101] == 2
    assert (labels == 1).sum() == pytest.approx((labels == 2).sum(), rel=0.02)


@pytest.mark.parametrize("pixel", [0.325, 0.65])
def test_pixel_size_changes_sampling_only(pixel: float) -> None:
    p = make_phantom(SMALL, 8, pixel_size_um=pixel)
    assert p.truth.values["tissue_area_mm2"] == pytest.approx(0.118, rel=0.05)
    assert p.truth.grid.pixel_um <= 2


def test_a_phantom_is_a_section_without_a_file(phantom: Phantom) -> None:
    section = as_section(phantom, "p1")
    assert isinstance(section.image, Image)
    assert section.grid == phantom.truth.grid
    window = Window(5, 25, 7, 40)
    assert np.array_equal(section.read("k8", window), phantom.pixels[2][window.slices])


def test_no_cells_at_all_is_no_error() -> None:
    p = make_phantom(
        SMALL.model_copy(update={"cd45_cortex_per_mm2": 0.0, "cd45_medulla_per_mm2": 0.0}), 1, pixel_size_um=1.0
    )
    assert p.truth.human.empty
    assert p.truth.instances.max() == 0
    assert p.truth.values["cd45_density_per_mm2"] == 0


def test_bubbles_dim_what_lies_under_them() -> None:
    optics = OpticsSpec().model_copy(update={"bubbles": 6})
    clear, dim = (make_phantom(SMALL.model_copy(update={"optics": o}), 7) for o in (OpticsSpec(), optics))
    assert np.array_equal(clear.truth.tissue, dim.truth.tissue)
    f = dim.truth.grid.factor
    under = np.kron(dim.truth.artefact & dim.truth.tissue, np.ones((f, f), bool))
    under = under[: dim.pixels.shape[1], : dim.pixels.shape[2]]
    assert under.any()
    level = [p.plane("k8")[under].mean() - 100 for p in (clear, dim)]
    assert level[1] < 0.75 * level[0]


def test_jpeg_changes_little_and_only_on_request() -> None:
    eight = {"bit_depth": 8, "gain_dn_per_e": 8}
    plain, packed = (
        make_phantom(
            SMALL.model_copy(update={"camera": CameraSpec.model_validate(eight | {"jpeg_quality": q})}), 7
        ).pixels.astype(int)
        for q in (0, 90)
    )
    assert not np.array_equal(plain, packed)
    assert np.abs(plain - packed).mean() < 4
