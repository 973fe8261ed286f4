"""A network divides the tissue from the keratins alone, the same whatever the tiles, threads and exposures."""

from __future__ import annotations

import numpy as np
import pytest

from thymusimg.compartments.frame import find_surroundings
from thymusimg.compartments.model import Compartment
from thymusimg.compartments.network import (
    CHANNELS,
    CLASSES,
    divide_by_network,
    levelled,
    network_inputs,
    segment_by_network,
)
from thymusimg.errors import ModelError, RoleError
from thymusimg.evaluate.overlap import dice
from thymusimg.models.card import ModelCard, write_card
from thymusimg.models.find import InstalledModel, find_model
from thymusimg.phantom import PRESETS, OpticsSpec, PhantomSpec, make_phantom
from thymusimg.phantom.section import as_section
from thymusimg.phantom.spec import spec_from
from thymusimg.pipeline import prepare_section
from thymusimg.section.model import Grid
from thymusimg.settings import CompartmentSettings, Settings

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def prepared():
    spec = PhantomSpec(area_mm2=0.25, cd45_cortex_per_mm2=500, cd45_medulla_per_mm2=200)
    return prepare_section(as_section(make_phantom(spec, 3, pixel_size_um=1.0)), Settings())


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network with weights that mean nothing, but that reaches far and uses every input."""
    from thymusimg.networks.unet import UNet
    from thymusimg.networks.weights import save_weights

    folder = tmp_path_factory.mktemp("nonsense")
    torch.manual_seed(5)
    architecture = {"widths": [8, 8, 8], "stem": 2}
    module = UNet(len(CHANNELS), len(CLASSES), **architecture)
    sha256, size = save_weights(folder / "weights.pt", module.state_dict())
    card = ModelCard(
        name="nonsense", task="compartments", kind="unet", channels=CHANNELS,
        classes=tuple(c.name.lower() for c in CLASSES), pixel_size_um=2.0, coarsest_pixel_um=2.5,
        architecture=architecture, weights="weights.pt", sha256=sha256, size_bytes=size, licence="BSD-3-Clause",
    )  # fmt: skip
    write_card(folder, card)
    return InstalledModel(folder, card)


@pytest.fixture(scope="module")
def network(model):
    from thymusimg.networks.engine import load_network

    return load_network(model, "cpu")


def _divide(prepared, network, px=2.0, **options):
    k14, k8 = prepared.planes["k14"], prepared.planes["k8"]
    around = find_surroundings(k14, k8, prepared.tissue, prepared.survey.grid, CompartmentSettings())
    return divide_by_network(k14, k8, around.judged, prepared.tissue.mask, px, network=network, **options)


@pytest.mark.parametrize(("tile_px", "threads"), [(64, 1), (128, 3)])
def test_tiles_and_threads_do_not_matter(prepared, network, tile_px, threads):
    whole = _divide(prepared, network)
    tiled = _divide(prepared, network, tile_px=tile_px, threads=threads)
    assert len(np.unique(whole.labels)) > 1
    np.testing.assert_allclose(tiled.confidence, whole.confidence, atol=1e-5)
    assert np.mean(tiled.labels != whole.labels) < 1e-4


def test_confidence_is_a_margin_and_zero_where_nothing_is_judged(prepared, network):
    found = _divide(prepared, network)
    assert found.confidence.min() >= 0
    assert found.confidence.max() <= 1
    assert not found.confidence[~prepared.tissue.mask].any()


@pytest.mark.parametrize("px", [1.1, 1.6])
def test_other_pixel_sizes_are_resampled(prepared, network, px):
    found = _divide(prepared, network, px)
    assert found.labels.shape == prepared.tissue.mask.shape
    assert set(np.unique(found.labels)) <= {int(c) for c in CLASSES}


def test_exposure_does_not_count(prepared, model):
    grid, settings = prepared.survey.grid, CompartmentSettings()
    plain = segment_by_network(prepared.planes, prepared.tissue, grid, settings, model=model)
    gained = {"k14": prepared.planes["k14"] * np.float32(4), "k8": prepared.planes["k8"] * np.float32(0.25)}
    other = segment_by_network(gained, prepared.tissue, grid, settings, model=model)
    np.testing.assert_array_equal(other.labels, plain.labels)
    assert plain.method == "nonsense"


def test_cells_never_count(prepared, model):
    rng = np.random.default_rng(0)
    grid, settings = prepared.survey.grid, CompartmentSettings()
    noise = {role: rng.random(grid.shape).astype(np.float32) for role in ("cd45", "dapi")}
    plain = segment_by_network(prepared.planes, prepared.tissue, grid, settings, model=model)
    other = segment_by_network(dict(prepared.planes) | noise, prepared.tissue, grid, settings, model=model)
    np.testing.assert_array_equal(other.labels, plain.labels)


def test_levels_take_exposure_and_debris_out():
    plane = np.ones((40, 40), np.float32)
    judged = np.ones_like(plane, bool)
    plane[0, :8] = 500
    assert levelled(plane, judged)[20, 20] == pytest.approx(1, rel=0.1)
    np.testing.assert_allclose(levelled(7 * plane, judged), levelled(plane, judged), rtol=1e-5)


def test_nothing_off_the_tissue_reaches_the_network():
    where = np.zeros((8, 8), np.float32)
    where[:, 4:] = 2
    given = network_inputs(np.full((8, 8), 9, np.float32), np.full((8, 8), 9, np.float32), where)
    assert given.shape == (2, 8, 8)
    assert len(np.unique(given[:, :, :4])) == 1
    assert given[:, :, :4].max() < given[:, :, 4:].min()


def test_a_missing_keratin_is_an_error(prepared, model):
    planes = {"k8": prepared.planes["k8"]}
    with pytest.raises(RoleError, match="k14"):
        segment_by_network(planes, prepared.tissue, prepared.survey.grid, CompartmentSettings(), model=model)


def test_a_model_for_something_else_is_refused(prepared, model):
    foreign = InstalledModel(model.folder, model.card.model_copy(update={"classes": ("cell", "rim")}))
    with pytest.raises(ModelError, match="cell, rim"):
        segment_by_network(
            prepared.planes, prepared.tissue, prepared.survey.grid, CompartmentSettings(), model=foreign
        )


def test_a_grid_it_was_not_made_for_is_refused(prepared, model):
    grid = Grid(prepared.survey.grid.slide_shape, 8.0, 1)
    with pytest.raises(ModelError, match="8 µm"):
        segment_by_network(prepared.planes, prepared.tissue, grid, CompartmentSettings(), model=model)


def _shipped(spec: PhantomSpec, seed: int, generator: str):
    phantom = make_phantom(spec, seed, pixel_size_um=1.0, generator=generator)
    prepared = prepare_section(as_section(phantom), Settings())
    found = segment_by_network(
        prepared.planes, prepared.tissue, prepared.survey.grid, CompartmentSettings(),
        model=find_model("network", "compartments"),
    )  # fmt: skip
    return phantom.truth, found, prepared.compartments


@pytest.mark.parametrize("generator", ["slab", "drawn"])
def test_the_shipped_network_finds_the_medulla_under_hard_optics(generator):
    values = PRESETS["progenitor_10wk"].draw(12).model_dump() | {"area_mm2": 0.7, "cd45_cortex_per_mm2": 2500}
    values["optics"] = OpticsSpec.hard().model_dump()
    truth, found, rule = _shipped(spec_from(values), 12, generator)
    scored = truth.labels != Compartment.ARTEFACT
    true = (truth.labels == Compartment.MEDULLA) & scored
    score = dice((found.labels == Compartment.MEDULLA) & scored, true)
    assert score > 0.8
    assert score > dice((rule.labels == Compartment.MEDULLA) & scored, true) - 0.02


@pytest.mark.parametrize("generator", ["slab", "drawn"])
def test_the_shipped_network_paints_no_islets_that_are_not_there(generator):
    values = PRESETS["no_architecture"].draw(13).model_dump() | {"area_mm2": 0.5, "cd45_cortex_per_mm2": 2500}
    _, found, _ = _shipped(spec_from(values), 13, generator)
    assert found.area_mm2(Compartment.MEDULLA) < 0.03 * found.area_mm2()
    assert found.area_mm2(Compartment.INDETERMINATE) > 0.9 * found.area_mm2()
