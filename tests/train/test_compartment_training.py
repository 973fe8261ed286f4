"""From sections to a compartment network: patches that teach what is known, and fits that resume exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thymusimg.compartments.model import Compartment
from thymusimg.compartments.network import CLASSES
from thymusimg.errors import CallError, ModelError
from thymusimg.models.find import InstalledModel, verify
from thymusimg.phantom import PhantomSpec, make_phantom
from thymusimg.phantom.section import as_section
from thymusimg.pipeline import prepare_section
from thymusimg.settings import CompartmentSettings, Settings
from thymusimg.train.annotated import AnnotatedCompartments

torch = pytest.importorskip("torch")

from thymusimg.models.card import read_card  # noqa: E402
from thymusimg.train.compartment_fitting import CompartmentFit, segmentation_loss  # noqa: E402
from thymusimg.train.compartment_patches import draw_batch, spoil, weights  # noqa: E402
from thymusimg.train.compartment_phantoms import draw_section  # noqa: E402
from thymusimg.train.compartment_sections import UNKNOWN, TrainingSection, as_training_section  # noqa: E402
from thymusimg.train.compartments import PhantomSections, train_compartments  # noqa: E402
from thymusimg.train.loop import Schedule  # noqa: E402

QUICK = CompartmentFit(Schedule(epochs=2, steps=2, patience=5), batch=2, side_px=64)


def _annotated(seed: int, animal: str) -> AnnotatedCompartments:
    spec = PhantomSpec(area_mm2=0.06, cd45_cortex_per_mm2=0, cd45_medulla_per_mm2=0, medulla_fraction=0.4)
    phantom = make_phantom(spec, seed, pixel_size_um=2.0)
    prepared = prepare_section(as_section(phantom, f"s{seed}"), Settings())
    labels = phantom.truth.labels.copy()
    labels[: labels.shape[0] // 8] = 0  # nobody looked there
    planes = {role: prepared.planes[role] for role in ("k14", "k8")}
    return AnnotatedCompartments(
        f"s{seed}", animal, planes, prepared.tissue, prepared.survey.grid, labels.astype(np.uint8)
    )


@pytest.fixture(scope="module")
def sections():
    return [_annotated(1, "a"), _annotated(2, "b"), _annotated(3, "c")]


@pytest.fixture(scope="module")
def prepared(sections):
    s = sections[0]
    return as_training_section("s", "a", s.planes, s.tissue, s.grid, s.labels, CompartmentSettings())


def test_a_section_keeps_what_is_known(sections, prepared):
    assert (prepared.wanted[sections[0].labels == 0] == UNKNOWN).all()
    medulla = sections[0].labels == Compartment.MEDULLA
    assert (prepared.wanted[medulla] == CLASSES.index(Compartment.MEDULLA)).all()
    assert prepared.k14[prepared.judged].astype(float).mean() == pytest.approx(1, rel=0.2)


def test_a_section_survives_its_file(prepared, tmp_path):
    prepared.save(tmp_path / "s.npz")
    again = TrainingSection.load(tmp_path / "s.npz")
    assert again.name == prepared.name
    np.testing.assert_array_equal(again.k14, prepared.k14)
    np.testing.assert_array_equal(again.wanted, prepared.wanted)


def test_batches_are_a_function_of_epoch_and_step(prepared):
    one, two = (draw_batch([prepared], 2, 96, 1, 4, 7) for _ in range(2))
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
    other = draw_batch([prepared], 2, 96, 1, 4, 8)
    assert not np.array_equal(one[0], other[0])


def test_what_nobody_annotated_weighs_nothing(prepared):
    unknown = replace(prepared, wanted=np.full_like(prepared.wanted, UNKNOWN))
    for step in range(4):
        assert not draw_batch([unknown], 1, 96, 1, 0, step)[1][:, 1].any()


def test_borders_weigh_less_than_what_they_part():
    where = np.full((64, 64), 2, np.uint8)
    wanted = np.zeros((64, 64), np.uint8)
    wanted[:, 32:] = 1
    weight = weights(where, wanted)
    assert weight[32, 32] < 0.5
    assert weight[32, 5] == pytest.approx(1, abs=0.01)


def test_faults_stay_finite_and_leave_tissue(prepared):
    for seed in range(12):
        k14, k8, where = spoil(
            prepared.k14.astype(np.float32), prepared.k8.astype(np.float32), prepared.where,
            np.random.default_rng(seed),
        )  # fmt: skip
        assert np.isfinite(k14).all()
        assert np.isfinite(k8).all()
        assert not (where > prepared.where).any()


def test_the_loss_is_least_for_the_truth():
    wanted = torch.randint(0, 4, (2, 16, 16))
    target = torch.stack([wanted.float(), torch.ones(2, 16, 16)], 1)
    right = 20 * torch.nn.functional.one_hot(wanted, 4).movedim(-1, 1).float()
    assert segmentation_loss(right, target) < 0.05
    assert segmentation_loss(right.roll(1, 1), target) > 5
    target[:, 1] = 0
    assert float(segmentation_loss(right.roll(1, 1), target)) < 0.6  # nothing known, nothing learnt


def test_phantoms_are_drawn_from_their_seed(monkeypatch):
    from thymusimg.train import compartment_phantoms

    monkeypatch.setattr(compartment_phantoms, "_LARGEST_MM2", dict.fromkeys((0.5, 0.8, 1.0), 0.1))
    one, two = draw_section(4), draw_section(4)
    assert one is not None
    assert two is not None
    assert one.name == two.name
    np.testing.assert_array_equal(one.k14, two.k14)
    assert set(np.unique(one.wanted)) <= {0, 1, 2, 3, UNKNOWN}


def test_a_model_folder_from_annotated_sections(sections, tmp_path):
    rows = []
    out = train_compartments(sections, tmp_path / "mine", settings=QUICK, hold_out=["b"], told=rows.append)
    card = read_card(out)
    verify(InstalledModel(out, card))
    assert card.name == "mine"
    assert card.training is not None
    assert card.training.held_out_animals == ("b",)
    assert {m.name for m in card.metrics} >= {"Dice cortex", "Dice medulla"}
    assert len(rows) == 2
    assert len((out / "history.csv").read_text().splitlines()) == 3
    assert not (out / "checkpoint.pt").exists()
    tuned = train_compartments(
        sections, tmp_path / "tuned", settings=QUICK, hold_out=["b"], start=InstalledModel(out, card)
    )
    assert read_card(tuned).architecture == card.architecture


def test_a_killed_training_ends_as_an_unbroken_one(sections, tmp_path):
    whole = train_compartments(sections, tmp_path / "one" / "m", settings=QUICK, hold_out=["b"])

    def kill(row: dict[str, float]) -> None:
        raise KeyboardInterrupt

    broken = tmp_path / "two" / "m"
    with pytest.raises(KeyboardInterrupt):
        train_compartments(sections, broken, settings=QUICK, hold_out=["b"], told=kill)
    with pytest.raises(ModelError, match="checkpoint"):
        train_compartments(sections, broken, settings=QUICK, hold_out=["b"], seed=2)
    train_compartments(sections, broken, settings=QUICK, hold_out=["b"])
    assert read_card(broken).sha256 == read_card(whole).sha256


def test_one_animal_is_not_enough(sections, tmp_path):
    alone = [replace(s, animal="a") for s in sections]
    with pytest.raises(CallError, match="one animal"):
        train_compartments(alone, tmp_path / "m", settings=QUICK)


def test_phantoms_alone_make_a_model(tmp_path, monkeypatch, prepared):
    from thymusimg.train import compartments

    monkeypatch.setattr(compartments, "draw_sections", lambda count, *_, **__: [prepared] * count)
    out = train_compartments(PhantomSections(2, 1), tmp_path / "m", settings=QUICK)
    card = read_card(out)
    assert card.licence == "BSD-3-Clause"
    assert card.training is not None
    assert "synthetic" in card.training.data
