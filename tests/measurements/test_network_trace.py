"""The network of whole (small) slides: tiles, gain, turning and pixel size may not show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from thymusimg.channels.correct import Correction
from thymusimg.measurements.network.mesh import mesh_width_px, width_quantile_um
from thymusimg.measurements.network.plane import scale_keratin
from thymusimg.measurements.network.trace import Network, trace_network
from thymusimg.section.coarse import block_mean
from thymusimg.section.model import Level, Section, Subject, Window

ROLES = {"k14": 0, "k8": 1}


@dataclass(frozen=True)
class ArrayImage:
    """An image in memory."""

    pixels: np.ndarray

    @property
    def levels(self):
        return (Level(self.pixels.shape[1:], 1.0),)

    def read(self, level: int, channel: int, window: Window) -> np.ndarray:
        return self.pixels[channel][window.slices]


def strands(size: int = 700, seed: int = 0, spacing: float = 11.0, pixel: float = 0.5) -> np.ndarray:
    """Return a Voronoi net of strands 1.4 µm wide with uneven brightness, as photons."""
    rng = np.random.default_rng(seed)
    extent = size * pixel
    n = int(extent / spacing)
    points = (np.stack(np.mgrid[:n, :n], -1).reshape(-1, 2) + rng.random((n * n, 2))) * spacing
    from scipy.spatial import cKDTree

    places = np.stack(np.mgrid[:size, :size], -1).reshape(-1, 2) * pixel
    distance, _ = cKDTree(points).query(places, k=2)
    off = (distance[:, 1] - distance[:, 0]).reshape(size, size) / 2
    return np.exp(-4 * np.log(2) * (off / 0.7 / 2) ** 2)


def slide(seed: int = 0, *, pixel: float = 0.5, size: int = 700, noise: float = 1.0) -> np.ndarray:
    net = strands(size, seed, pixel=pixel)
    x = np.linspace(0, 1, size)[None]
    k8 = 100 + 400 * net * (1 - 0.5 * x)
    k14 = 100 + 300 * net * x
    rng = np.random.default_rng(seed + 1)
    planes = np.stack([k14, k8])
    return np.clip(rng.normal(planes, noise * np.sqrt(planes)), 0, 65535).astype(np.float32)


def traced(pixels: np.ndarray, *, pixel: float = 0.5, gain=(1.0, 1.0), points=None, **tiles: int) -> Network:
    pixels = pixels * np.asarray(gain, np.float32)[:, None, None]
    section = Section(Subject("s"), ArrayImage(pixels), ROLES, {r: r for r in ROLES}, pixel)
    grid = section.grid
    offset = {role: 100.0 * gain[i] for role, i in ROLES.items()}
    correction = Correction(grid, offset, {}, None, tuple(ROLES))
    planes = correction.apply_coarse({role: block_mean(pixels[i], grid.factor) for role, i in ROLES.items()})
    labels = np.zeros(grid.shape, np.uint8)
    middle = grid.shape[1] // 2
    labels[5:-5, 5:middle], labels[5:-5, middle:-5] = 1, 2
    scale = scale_keratin(planes, labels > 0, grid.pixel_um)
    assert scale is not None
    return trace_network(section, correction, labels, scale, points_um=points, **tiles)


def density(network: Network, code: int) -> float:
    return network.graphs[code].length_px * network.pixel_um * 1e-3 / network.area_mm2[code]


@pytest.fixture(scope="module")
def one() -> Network:
    return traced(slide())


@pytest.mark.parametrize(("tile_px", "threads"), [(200, 2), (333, 1), (4096, 2)])
def test_tiles_do_not_show(one: Network, tile_px: int, threads: int) -> None:
    other = traced(slide(), tile_px=tile_px, threads=threads)
    assert other.graphs == one.graphs
    assert (other.positive == one.positive).all()
    assert (other.widths == one.widths).all()
    assert (other.area_mm2 == one.area_mm2).all()


def test_a_voronoi_net_has_its_length(one: Network) -> None:
    # points jittered by a whole square are nearly Poisson: 2 / spacing · 1.0 to within a few percent
    for code in (1, 2):
        assert density(one, code) == pytest.approx(2e3 / 11, rel=0.1)


def test_gain_changes_nothing(one: Network) -> None:
    for gain in ((2.0, 1.0), (0.5, 2.0)):
        other = traced(slide(), gain=gain)
        for code in (1, 2):
            assert density(other, code) == pytest.approx(density(one, code), rel=0.002)
        assert other.positive.mean() == pytest.approx(one.positive.mean(), rel=0.002)


def test_turning_and_flipping(one: Network) -> None:
    # labels differ in their halves: compare the sums
    total = sum(one.graphs[code].length_px for code in (1, 2))
    for change in (lambda a: np.rot90(a, 1, (1, 2)), lambda a: a[:, ::-1], lambda a: a[:, :, ::-1]):
        other = traced(np.ascontiguousarray(change(slide())))
        # the last of two equal pixels that thinning takes off depends on the direction
        assert sum(other.graphs[code].length_px for code in (1, 2)) == pytest.approx(total, rel=0.005)
        assert other.positive.mean(dtype=np.float64) == pytest.approx(one.positive.mean(dtype=np.float64), rel=1e-4)


def test_finer_pixels_give_the_same_network(one: Network) -> None:
    fine = slide(pixel=0.25, size=1400, noise=0.5)
    other = traced(fine, pixel=0.25)
    assert other.pixel_um == 0.5
    for code in (1, 2):
        assert density(other, code) == pytest.approx(density(one, code), rel=0.05)


def test_noise_without_keratin_has_no_network() -> None:
    pixels = slide()
    rng = np.random.default_rng(9)
    pixels[:, 200:500, 100:300] = rng.normal(110, np.sqrt(110), (2, 300, 200))
    labels_free = traced(pixels)
    whole = traced(slide())
    lost = whole.graphs[1].length_px - labels_free.graphs[1].length_px
    # 300 × 200 px of net are gone, and little stands in their place
    gone = 300 * 200 * 0.25 * density(whole, 1) * 1e-3
    assert lost * 0.5 == pytest.approx(gone, rel=0.08)
    assert labels_free.positive[60:120, 30:70].mean() < 0.02


def test_distances_are_those_to_the_skeleton(one: Network) -> None:
    points = np.random.default_rng(4).uniform(30, 320, (200, 2))
    found = traced(slide(), points=points)
    assert found.graphs == one.graphs
    assert np.isfinite(found.at_points_um).all()
    counts = found.distances[1] + found.distances[2]
    assert counts.sum() == (found.area_mm2[1:3].sum() / 0.25e-6).round()
    # points at random are as near as pixels are
    edges = np.arange(len(counts)) * 0.25
    mean = (counts * edges).sum() / counts.sum()
    assert found.at_points_um.mean() == pytest.approx(mean, abs=0.3)


def test_a_slide_without_parenchyma() -> None:
    plane = np.zeros((40, 40), np.float32)
    assert scale_keratin({"k8": plane}, plane > 0, 2.0) is None
    assert scale_keratin({"k8": plane - 1}, plane == 0, 2.0) is None


def test_half_as_bright_as_a_strand_is_positive() -> None:
    net = strands() > 0.5
    coarse = block_mean(net.astype(np.float32), 4)
    found = traced(slide()).positive
    assert found[5:-5, 5:-5].mean() == pytest.approx(coarse[5:-5, 5:-5].mean(), abs=0.06)
    assert np.corrcoef(found[5:-5, 5:-5].ravel(), coarse[5:-5, 5:-5].ravel())[0, 1] > 0.95


def test_meshes_are_as_wide_as_between_the_strands(one: Network) -> None:
    true = mesh_width_px(~(strands() > 0.5), 96)
    wanted = float(np.median(true[true > 0])) * 0.5
    # the blur of half a micrometre widens strands by as much, on both sides of a mesh
    assert width_quantile_um(one.widths[1] + one.widths[2], 0.5) == pytest.approx(wanted, rel=0.12)
