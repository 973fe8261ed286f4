"""Examples, batches and the whole way from synthetic or annotated cells to a model folder."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from thymusimg.cells.model import Gate
from thymusimg.cells.normalise import input_levels
from thymusimg.errors import CallError
from thymusimg.models.card import read_card
from thymusimg.models.find import InstalledModel
from thymusimg.networks.engine import load_network
from thymusimg.phantom import PhantomSpec, make_phantom
from thymusimg.train.annotated import AnnotatedCells
from thymusimg.train.cell_examples import CellExample, draw_examples, example_of_annotation, example_of_phantom
from thymusimg.train.cell_fitting import CellFit
from thymusimg.train.cell_patches import Ahead, Crops
from thymusimg.train.cell_sections import any_section
from thymusimg.train.cells import train_cells
from thymusimg.train.loop import Schedule
from thymusimg.train.nuclei import with_membranes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL = {"widths": [4, 6, 8], "stem": 2}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def example() -> CellExample:
    spec = PhantomSpec(area_mm2=0.04, cd45_cortex_per_mm2=5000, cd45_medulla_per_mm2=5000, dapi=True,
                       mouse_per_mm2=2000)  # fmt: skip
    return example_of_phantom(make_phantom(spec, 7, size_mm=0.28), "phantom 7", 0.5)


def annotated(name: str, seed: int) -> AnnotatedCells:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:120, :120]
    labels = np.zeros((120, 120), np.uint32)
    cd45 = rng.normal(100, 5, (120, 120)).astype(np.float32)
    for number, (a, b) in enumerate(rng.uniform(12, 108, (12, 2)), start=1):
        away = np.hypot(y - a, x - b)
        labels[away < 7] = number
        cd45 += 150 * np.exp(-0.5 * (away - 6) ** 2).astype(np.float32)
    gate = Gate(115.0, 100.0, 5.0, "section")
    return AnnotatedCells(
        f"{name}1", name, {"cd45": cd45}, 0.5, labels, np.ones(labels.shape, bool), gate, input_levels(gate)
    )


def test_sections_of_one_seed_are_one_section() -> None:
    assert any_section(5) == any_section(5)
    kinds = [any_section(seed) for seed in range(40)]
    assert {k.generator for k in kinds} == {"slab", "drawn"}
    assert {k.spec.dapi for k in kinds} == {True, False}
    assert any(k.spec.cd45_cortex_per_mm2 == 0 for k in kinds)
    assert max(k.spec.cd45_cortex_per_mm2 for k in kinds) > 12_000
    assert min(k.pixel_size_um for k in kinds) < 0.3 < 0.6 < max(k.pixel_size_um for k in kinds)


def test_an_example_is_in_units_of_its_background(example: CellExample) -> None:
    cd45 = example.cd45.astype(np.float32)
    negative = cd45[example.labels == 0]
    assert abs(float(np.median(negative))) < 3
    assert float(np.median(cd45[example.labels > 0])) > 5
    assert example.dapi is not None
    assert len(np.unique(example.labels)) > 20


def test_gain_and_offset_of_the_camera_change_nothing() -> None:
    section = annotated("a", 1)
    gate = Gate(395.0, 350.0, 15.0, "section")
    louder = replace(
        section, planes={"cd45": 3 * section.planes["cd45"] + 50}, gate=gate, levels=input_levels(gate)
    )
    one, other = (example_of_annotation(s, 0.5) for s in (section, louder))
    assert np.allclose(one.cd45.astype(float), other.cd45.astype(float), atol=0.05)


def test_annotations_of_another_pixel_size_are_resampled() -> None:
    section = annotated("a", 1)
    fine = replace(
        section, pixel_um=0.25, annotated=np.pad(np.ones((120, 110), bool), ((0, 0), (0, 10))),
    )  # fmt: skip
    example = example_of_annotation(fine, 0.5)
    assert example.shape == (60, 60)
    assert (example.labels[:, 55:] == -1).all()
    assert (example.labels[:, :54] >= 0).all()


def test_a_batch_is_a_function_of_epoch_and_step(example: CellExample) -> None:
    crops = Crops([example], [1.0], 64, 3, seed=4)
    given, wanted = crops.batch(2, 5)
    assert given.shape == (3, 2, 64, 64)
    assert wanted.shape == (3, 5, 64, 64)
    crops.batch(0, 0)
    ahead = Ahead(crops.batch, steps=6)
    ahead(2, 4)
    for again in (crops.batch(2, 5), ahead(2, 5)):
        assert torch.equal(given, again[0])
        assert torch.equal(wanted, again[1])
    ahead.close()
    assert not torch.equal(given, crops.batch(2, 4)[0])
    assert torch.isfinite(given).all()


def test_dapi_is_missing_in_at_least_half_of_the_crops(example: CellExample) -> None:
    without = replace(example, dapi=None)
    given, _ = Crops([example, without], [0.6, 0.4], 48, 64, seed=1).batch(0, 0)
    missing = float((given[:, 1].abs().amax((1, 2)) == 0).float().mean())
    assert missing >= 0.5


def test_fields_smaller_than_a_crop_are_mirrored_but_not_learnt_from(example: CellExample) -> None:
    small = replace(
        example, cd45=example.cd45[:40, :40], dapi=None, labels=np.ones((40, 40), np.int32),
    )  # fmt: skip
    _, wanted = Crops([small], [1.0], 96, 2, seed=1).batch(0, 0)
    assert 0 < float((wanted[:, 4] > 0).float().mean()) < 0.4


def test_drawn_examples_are_kept_and_read_again(tmp_path: Path) -> None:
    first = draw_examples([3], tmp_path, 0.5, processes=1)
    written = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    second = draw_examples([3], tmp_path, 0.5, processes=1)
    assert {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == written
    assert [e.name for e in first] == [e.name for e in second]
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.labels, other.labels)


def test_nuclei_get_membranes_around_them() -> None:
    cells = np.zeros((64, 64), np.int32)
    for number, (y, x) in enumerate([(16, 16), (16, 40), (44, 20), (44, 48)], start=1):
        cells[y - 4 : y + 5, x - 4 : x + 5] = number
    cd45, dapi, grown = with_membranes(cells * 5.0 + 0.0, cells, np.random.default_rng(2))
    some = np.unique(grown[grown > 0])
    assert 0 < len(some) <= 4
    for name in some:
        assert (grown == name).sum() > (cells == name).sum()
    assert cd45.shape == dapi.shape == cells.shape


def test_from_annotated_cells_to_a_model_and_on_from_it(tmp_path: Path) -> None:
    sections = [annotated(name, number) for number, name in enumerate("abcde")]
    settings = CellFit(Schedule(epochs=2, steps=3, rate=2e-3), batch=2, side_px=64)
    rows: list[dict[str, float]] = []
    folder = train_cells(
        sections, tmp_path / "mine", settings=settings, architecture=SMALL, hold_out=["c"], seed=3,
        licence="CC0-1.0", told=rows.append,
    )  # fmt: skip
    card = read_card(folder)
    assert [row["epoch"] for row in rows] == [1.0, 2.0]
    assert card.training is not None
    assert card.training.held_out_animals == ("c",)
    assert "c" not in card.training.train_animals
    assert card.optional_channels == ("dapi",)
    network = load_network(InstalledModel(folder, card), "cpu")
    assert network(np.zeros((1, 2, 64, 64), np.float32)).shape == (1, 4, 64, 64)
    onward = train_cells(
        sections, tmp_path / "more", start=InstalledModel(folder, card), settings=settings, seed=3, hold_out=["c"]
    )
    after = read_card(onward)
    assert after.architecture == card.architecture
    assert after.licence == "CC0-1.0"
    assert not (onward / "checkpoint.pt").exists()


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    sections = [annotated(name, number) for number, name in enumerate("ab")]
    settings = CellFit(Schedule(epochs=1, steps=2), batch=1, side_px=48)
    hashes = [
        read_card(train_cells(sections, tmp_path / name, settings=settings, architecture=SMALL, seed=3)).sha256
        for name in ("one", "two")
    ]
    assert hashes[0] == hashes[1]


def test_one_animal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CallError, match="one animal"):
        train_cells([annotated("a", 1)], tmp_path / "mine")
