"""Ridges, skeletons and their graphs against shapes, scipy and scikit-image."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage
from skimage.feature import hessian_matrix, hessian_matrix_eigvals
from skimage.morphology import skeletonize

from benchmarks.analytic.network import net, traced
from thymusimg.measurements.network import ridge
from thymusimg.measurements.network.graph import Pieces, as_graph, core_pieces, count_core, measure_graph
from thymusimg.measurements.network.skeleton import skeletonise

EIGHT = np.ones((3, 3))


def blobs(seed: int, size: int = 200, sigma: float = 3.0) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), sigma)
    return np.pad(noise > 0.3 * noise.std(), 3)


def ones(mask: np.ndarray) -> np.ndarray:
    return np.ones(mask.shape, np.uint8)


@pytest.mark.parametrize("seed", range(4))
def test_thinning_keeps_pieces_and_holes(seed: int) -> None:
    mask = blobs(seed)
    thin = skeletonise(mask)
    assert not (thin & ~mask).any()
    assert ndimage.label(thin, EIGHT)[1] == ndimage.label(mask, EIGHT)[1]
    assert ndimage.label(~thin)[1] == ndimage.label(~mask)[1]


def test_lines_are_one_pixel_wide() -> None:
    thin = skeletonise(blobs(1))
    full = ndimage.correlate(thin.astype(int), np.ones((2, 2), int), mode="constant")
    assert (full == 4).sum() <= 2


@pytest.mark.parametrize("seed", range(3))
def test_the_skeleton_is_about_as_long_as_scikit_images(seed: int) -> None:
    mask = blobs(seed)
    ours, theirs = skeletonise(mask, spur_px=4), skeletonize(mask)
    assert measure_graph(ours, ones(ours), 1).length_px == pytest.approx(
        measure_graph(theirs, ones(theirs), 1).length_px, rel=0.1
    )


@pytest.mark.parametrize("seed", range(4))
def test_loops_are_the_holes_and_pieces_the_pieces(seed: int) -> None:
    thin = skeletonise(blobs(seed))
    graph = measure_graph(thin, ones(thin), 1)
    assert graph.pieces == ndimage.label(thin, EIGHT)[1]
    assert graph.loops == ndimage.label(~thin)[1] - 1


def test_the_graph_of_a_letter() -> None:
    # an A: a loop, two legs, two forks
    letter = np.zeros((40, 40), bool)
    letter[5, 10:30] = letter[20, 10:30] = True
    letter[5:36, 10] = letter[5:36, 29] = True
    graph = measure_graph(letter, ones(letter), 1)
    assert (graph.ends, graph.forks, graph.segments, graph.loops, graph.pieces) == (2, 2, 4, 1, 1)


@pytest.mark.parametrize("degrees", [0, 10, 22.5, 30, 45, 77])
def test_lines_in_every_direction_have_their_length(degrees: float) -> None:
    t = np.linspace(0, 300, 3001)
    turn = math.radians(degrees)
    mask = np.zeros((330, 330), bool)
    mask[np.rint(5 + t * math.sin(turn)).astype(int), np.rint(5 + t * math.cos(turn)).astype(int)] = True
    thin = skeletonise(mask)
    assert measure_graph(thin, ones(thin), 1).length_px == pytest.approx(300, rel=0.025)


def test_spurs_and_specks_go() -> None:
    line = np.zeros((30, 80), bool)
    line[15, 5:75] = line[12:15, 40] = True
    line[3, 3:8] = True
    thin = skeletonise(line, spur_px=5, piece_px=10)
    graph = measure_graph(thin, ones(thin), 1)
    assert (graph.ends, graph.forks, graph.pieces) == (2, 0, 1)
    # a branch that is long enough stays
    line[4:15, 60] = True
    thin = skeletonise(line, spur_px=5, piece_px=10)
    assert measure_graph(thin, ones(thin), 1).forks == 1


@pytest.mark.parametrize("size", [(50, 50), (33, 70), (206, 31), (7, 1), (1, 64)])
def test_sums_over_cores_are_those_of_the_whole(size: tuple[int, int]) -> None:
    thin = skeletonise(blobs(7))
    labels = np.ones(thin.shape, np.uint8)
    labels[:, 90:] = 2
    a, codes = np.pad(thin, 70).view(np.uint8), np.pad(labels, 70)
    everywhere = (0, a.shape[0], 0, a.shape[1])
    sums, pieces = np.zeros((3, 9), np.int64), Pieces()
    for y in range(0, thin.shape[0], size[0]):
        for x in range(0, thin.shape[1], size[1]):
            height, width = min(size[0], thin.shape[0] - y), min(size[1], thin.shape[1] - x)
            sums += count_core(a, codes, y + 70, x + 70, height, width, everywhere, 3)
            pieces.add(core_pieces(a, codes, y + 70, x + 70, height, width), y, x)
    for code in (1, 2):
        assert as_graph(sums[code], pieces.count(code)) == measure_graph(thin, labels, code)


def test_compartments_share_a_strand_that_crosses() -> None:
    line = np.zeros((20, 100), bool)
    line[10, 10:90] = True
    labels = np.ones(line.shape, np.uint8)
    labels[:, 50:] = 2
    one, two = (measure_graph(line, labels, code) for code in (1, 2))
    whole = measure_graph(line, ones(line), 1)
    assert one.length_px + two.length_px == pytest.approx(whole.length_px)
    assert (one.ends, two.ends, one.euler, two.euler, one.loops) == (1, 1, 1, 1, 0)


@pytest.mark.parametrize("degrees", [0, 13, 30, 45])
@pytest.mark.parametrize("width_um", [1.0, 1.5, 2.5])
def test_a_net_is_two_over_its_spacing(degrees: float, width_um: float) -> None:
    graph, mm2 = traced(net(degrees, width_um))
    assert graph.length_px * 0.5e-3 / mm2 == pytest.approx(2e3 / 12, rel=0.03)
    assert graph.forks / mm2 == pytest.approx(1e6 / 144, rel=0.08)
    assert graph.ends == 0


def test_ridges_agree_with_scikit_image() -> None:
    plane = np.random.default_rng(3).normal(size=(120, 130)).astype(np.float32)
    ours = ridge.ridge_strength(plane, 0.5)
    wanted = np.zeros(plane.shape)
    for width in ridge.STRAND_UM:
        sigma = ridge.scale_um(width) / 0.5
        # a pixel has blurred by 1/12 already
        smooth = ndimage.gaussian_filter(plane.astype(float), math.sqrt(sigma**2 - 1 / 12))
        yy = ndimage.correlate1d(smooth, [1, -2, 1], 0)
        xx = ndimage.correlate1d(smooth, [1, -2, 1], 1)
        xy = ndimage.correlate(smooth, np.array([[1, 0, -1], [0, 0, 0], [-1, 0, 1]]) / 4)
        low = hessian_matrix_eigvals([yy, xy, xx])[1]
        wanted = np.maximum(wanted, -(sigma**2) * low)
    inner = (slice(20, -20), slice(20, -20))
    # scales are reached one after another, with kernels cut at four sigma
    assert ours[inner] == pytest.approx(wanted[inner], rel=0.05, abs=0.02)
    assert hessian_matrix(plane, sigma=2, use_gaussian_derivatives=False)[0].shape == plane.shape


def test_the_strongest_answer_is_at_the_strand_of_its_scale() -> None:
    x = (np.arange(401) - 200) * 0.1
    for width in (1.0, 1.6, 2.5):
        strand = np.repeat(np.exp(-4 * math.log(2) * (x / width) ** 2)[None], 401, 0).astype(np.float32)
        assert ridge.ridge_strength(strand, 0.1)[200, 200] == pytest.approx(0.385, rel=0.03)


def test_flat_and_sloping_planes_have_no_ridge() -> None:
    y, x = np.mgrid[:60, :80].astype(np.float32)
    assert ridge.ridge_strength(3 * x + 2 * y, 0.5)[22:-22, 22:-22].max() < 1e-3
    assert ridge.ridge_strength(np.full((60, 80), 7, np.float32), 0.5).max() < 1e-5
