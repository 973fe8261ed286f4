"""Cells from a network: the same whatever the tiles and threads, on tissue, human, and measured as all others."""

from __future__ import annotations

from dataclasses import replace

import network_fakes
import numpy as np
import pytest
from cell_fakes import matched, scattered, scene, surroundings

import thymusimg.cells.network as cell_network
from thymusimg.cells.classical import detect_cells
from thymusimg.cells.gate import estimate_gate
from thymusimg.cells.network import detect_with_network
from thymusimg.errors import CancelledError, CellsError, ModelError, PixelSizeError
from thymusimg.section.model import Window
from thymusimg.settings import CellSettings, GateSettings

CENTRES, RADII = scattered(25, size_um=130.0, apart_um=10.5)


@pytest.fixture(autouse=True)
def _network(monkeypatch):
    monkeypatch.setattr(cell_network, "load_network", lambda model, device: network_fakes.pretended())


def drawn(**options):
    return scene(CENTRES, RADII, size_um=130.0, **options)


def found(section, *, settings=None, gate=None, labels=None, model=None, planes=None, **options):
    correction, compartments = surroundings(section, labels)
    gate = gate or estimate_gate(section, correction, compartments, GateSettings())
    return detect_with_network(
        section, correction, compartments, gate, settings or CellSettings(minimum_score=0.2),
        model=model or network_fakes.model(), device="cpu", planes=planes, **options,
    )  # fmt: skip


def painted(cells, section):
    height, width = section.shape
    return cells.masks.paint(Window(0, height, 0, width)).astype(int)


def identical(one, other):
    assert one.table.equals(other.table)
    assert np.array_equal(one.masks.bits, other.masks.bits)
    assert np.array_equal(one.masks.boxes, other.masks.boxes)
    assert np.array_equal(one.positive_fraction, other.positive_fraction)


@pytest.mark.parametrize("pixel_um", [0.25, 0.5, 0.37, 0.8])
def test_cells_are_found_at_any_pixel_size(pixel_um):
    drawing = drawn(pixel_um=pixel_um)
    section = drawing.expose()
    cells = found(section)
    hits, there, drawn_ = matched(drawing.labels, painted(cells, section))
    assert hits >= 0.92 * there
    assert drawn_ <= there + 1
    nearest = np.hypot(*(cells.table[["y_um", "x_um"]].to_numpy()[:, None] - CENTRES[None]).transpose(2, 0, 1)).min(
        axis=1
    )
    assert np.median(nearest) < 0.4
    assert cells.method == "pretended"


def test_nothing_depends_on_threads_or_on_tile_px():
    section = drawn().expose()
    first = found(section, threads=1)
    for options in ({"threads": 3}, {"tile_px": 64}, {"tile_px": 4096, "threads": 2}):
        identical(first, found(section, **options))


@pytest.mark.parametrize("window_px", [256, 320])
def test_smaller_windows_leave_no_seam(window_px):
    section = drawn().expose()
    whole, cut = found(section), found(section, window_px=window_px)
    identical(whole, cut)


def test_padding_changes_nothing():
    """Glass around the section, with more tissue in it than before nowhere."""
    drawing = drawn()
    section = drawing.expose(noise=False)
    image = section.image
    image.planes = np.pad(image.planes, ((0, 0), (32, 64), (64, 32)), mode="edge")
    correction, compartments = surroundings(section)
    gate = estimate_gate(section, correction, compartments, GateSettings())
    cells = found(section, gate=gate)
    plain = drawing.expose(noise=False)
    before = found(plain, gate=gate)
    assert len(cells.table) == len(before.table)
    shift = np.array([16.0, 32.0])
    places = before.table[["y_um", "x_um"]].to_numpy() + shift
    np.testing.assert_allclose(cells.table[["y_um", "x_um"]].to_numpy(), places, atol=0.1)


@pytest.mark.parametrize("turns", [1, 2])
def test_a_turned_section_has_the_same_cells(turns):
    drawing = drawn()
    straight, turned = drawing.expose(noise=False), drawing.expose(noise=False, turns=turns)
    correction, compartments = surroundings(straight)
    gate = estimate_gate(straight, correction, compartments, GateSettings())
    one, other = found(straight, gate=gate), found(turned, gate=gate)
    back = np.rot90(painted(other, turned), -turns)
    assert np.mean((back > 0) == (painted(one, straight) > 0)) > 0.999
    assert len(one.table) == len(other.table)


def test_masks_share_no_pixel_and_hold_the_minimum_area():
    section = drawn().expose()
    cells = found(section, window_px=256)
    sizes = np.array([cells.masks.mask(i).sum() for i in range(len(cells.masks))])
    assert (painted(cells, section) > 0).sum() == sizes.sum()
    np.testing.assert_allclose(cells.table["area_um2"], sizes * 0.25)
    assert (cells.table["area_um2"] >= CellSettings().minimum_area_um2).all()
    assert len(found(section, settings=CellSettings(minimum_area_um2=200.0, minimum_score=0.2)).table) == 0


def test_means_are_those_under_the_masks():
    section = drawn().expose()
    cells = found(section)
    labels = painted(cells, section)
    for role, channel in section.roles.items():
        plane = section.image.planes[channel].astype(float) - 100
        means = np.bincount(labels.ravel(), plane.ravel())[1:] / np.bincount(labels.ravel())[1:]
        np.testing.assert_allclose(cells.table[f"mean_{role}"], means, rtol=1e-4)


def test_the_positive_fraction_is_that_of_every_method():
    section = drawn().expose()
    correction, compartments = surroundings(section)
    gate = estimate_gate(section, correction, compartments, GateSettings())
    ours = detect_cells(section, correction, compartments, gate, CellSettings())
    assert np.array_equal(found(section, gate=gate, window_px=256).positive_fraction, ours.positive_fraction)


def test_cells_off_the_tissue_are_not_counted():
    section = drawn().expose()
    labels = np.ones(section.grid.shape, np.uint8)
    labels[:, : labels.shape[1] // 2] = 0
    cells = found(section, labels=labels)
    assert 0 < len(cells.table) < 25
    assert (cells.table["x_um"] > 64).all()
    assert not cells.positive_fraction[:, : labels.shape[1] // 2].any()
    correction, compartments = surroundings(section)
    gate = estimate_gate(section, correction, compartments, GateSettings())
    nowhere = found(section, gate=gate, labels=np.zeros(section.grid.shape, np.uint8))
    assert len(nowhere.table) == 0


def test_below_the_gate_nothing_is_human():
    section = drawn().expose()
    correction, compartments = surroundings(section)
    gate = estimate_gate(section, correction, compartments, GateSettings())
    high = replace(gate, threshold=gate.background + 2_000, source="controls_absolute")
    assert len(found(section, gate=gate).table) > 20
    assert len(found(section, gate=high).table) == 0


def test_what_is_bright_in_every_stain_is_no_cell():
    section = drawn().expose()
    planes = section.image.planes
    planes[1] = planes[2] = planes[0]
    assert len(found(section).table) <= 2


def test_pixels_that_are_too_coarse_or_too_fine():
    coarse = drawn(pixel_um=1.2).expose()
    with pytest.raises(CellsError, match="too coarse for cells"):
        found(coarse)
    section = drawn(pixel_um=0.8).expose()
    with pytest.raises(CellsError, match=r"too coarse for the model 'pretended'; at most 0.7 µm"):
        found(section, model=network_fakes.model(coarsest_pixel_um=0.7))
    with pytest.raises(PixelSizeError, match=r"finer than the model"):
        found(section, model=network_fakes.model(finest_pixel_um=0.9))


def test_other_models_are_refused():
    section = drawn().expose()
    with pytest.raises(ModelError, match="takes k14 and gives"):
        found(section, model=network_fakes.model(channels=("k14",)))
    with pytest.raises(ModelError, match="a cell network takes cd45, dapi"):
        found(section, model=network_fakes.model(classes=("cell",)))


def test_dapi_is_given_to_the_network_scaled_by_the_section(monkeypatch):
    seen = []

    class Watching(network_fakes.RoundBodies):
        def forward(self, x):
            seen.append(x[:, 1].numpy().copy())
            return super().forward(x)

    monkeypatch.setattr(
        cell_network,
        "load_network",
        lambda model, device: network_fakes.Network(Watching(), "cpu", stride=16, reach_px=17),
    )
    section = drawn().expose()
    found(section)
    assert not seen[0].any()
    with_dapi = replace(section, roles={"cd45": 0, "k14": 1, "dapi": 2})
    ramp = np.linspace(0, 100, with_dapi.grid.shape[0] * with_dapi.grid.shape[1], dtype=np.float32)
    seen.clear()
    cells = found(with_dapi, planes={"dapi": ramp.reshape(with_dapi.grid.shape)})
    assert seen[0].any()
    assert "mean_k8" not in cells.table
    # without the coarse plane nothing says how bright DAPI is, and it is not used
    seen.clear()
    found(with_dapi)
    assert not seen[0].any()


def test_progress_and_cancel():
    section = drawn().expose()
    heard = []
    found(section, window_px=256, progress=lambda stage, part: heard.append((stage, part)))
    assert heard[-1] == ("cells", 1.0)
    assert len(heard) > 1

    def cancel(stage, part):
        raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        found(section, progress=cancel)


def test_on_a_device_windows_have_one_shape(monkeypatch):
    shapes = []

    class Device(network_fakes.Network):
        def __init__(self):
            super().__init__(network_fakes.RoundBodies(), "cpu", stride=16, reach_px=17)
            self.device = "cuda:0"

        def _measure(self, shape):
            return 3

        def _run(self, batch):
            import torch

            shapes.append(batch.shape)
            with torch.inference_mode():
                return self._module(torch.from_numpy(batch)).numpy()

    section = drawn().expose()
    plain = found(section, window_px=256)
    monkeypatch.setattr(cell_network, "load_network", lambda model, device: Device())
    cells = found(section, window_px=256)
    assert len({shape[1:] for shape in shapes}) == 1
    assert max(shape[0] for shape in shapes) == 3
    assert len(cells.table) == len(plain.table)
    assert np.mean(painted(cells, section) == painted(plain, section)) > 0.9999
