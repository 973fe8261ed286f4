"""Medullary islets: ribs that colonise space, thickened until each islet has its share of the area."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from thymusimg.phantom.drawn.mosaic import bend, lumps, soft_lumps

if TYPE_CHECKING:
    from thymusimg.phantom.spec import PhantomSpec
    from thymusimg.section.model import FloatPlane, Grid, Mask

SMALLEST_UM2 = 5_000.0
"""Islets are no smaller, whatever number is wished for."""
GAP_UM = 45.0
"""Cortex between two islets is no thinner."""
SMOOTH_UM = 10.0
"""Tips and corners sharper than this are rounded."""
PIXEL_UM = 4.0
"""Resolution at which islets grow; their edge is interpolated."""


def draw_islets(
    spec: PhantomSpec, rng: np.random.Generator, room: Mask, depth: FloatPlane, grid: Grid, fitted: float
) -> Mask:
    """Return the medulla inside ``room`` (the parenchyma).

    A shrunken lobe holds fewer islets, not smaller ones. The largest starts in the depth of the lobe, the others
    keep away from it; each grows from a branching rib to its own area, slower towards the capsule the more order
    there is.
    """
    medulla = np.zeros(grid.shape, bool)
    area_um2 = spec.medulla_fraction * float(np.count_nonzero(room)) * grid.pixel_um**2
    if area_um2 <= 0:
        return medulla
    step = max(1, int(PIXEL_UM / grid.pixel_um))
    small = room[step // 2 :: step, step // 2 :: step]
    if not small.any():
        return medulla
    pixel = grid.pixel_um * step
    deep = np.ascontiguousarray(depth[step // 2 :: step, step // 2 :: step])
    count = max(1, min(round(spec.islets * fitted), int(area_um2 / SMALLEST_UM2)))
    areas = _share_out(spec, rng, area_um2, count)
    ribs = _plant(spec, rng, areas, small, deep, pixel)
    cost, owner = _cost(spec, rng, ribs, deep, pixel)
    reach = _reaches(areas / pixel**2, cost, owner, small, ribs, pixel)
    # negative inside: the cost less what the islet can pay; nothing in a thymus has a straight edge
    push = _push(rng, small.shape, pixel)
    lead = _cleft(cost - reach[owner], owner, pixel)
    lead = bend(cv2.GaussianBlur(lead, (0, 0), max(0.5, SMOOTH_UM / pixel)), push)
    ribs = bend(ribs.astype(np.float32), push, cv2.INTER_NEAREST)
    lead = cv2.resize(lead, None, fx=step, fy=step, interpolation=cv2.INTER_LINEAR)
    rows, columns = (max(0, n - m) for n, m in zip(grid.shape, lead.shape, strict=True))
    lead = np.pad(lead, ((0, rows), (0, columns)), mode="edge")[: grid.shape[0], : grid.shape[1]]
    ribs = cv2.resize(ribs, grid.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return _trim(lead, room, ribs > 0, area_um2 / grid.pixel_um**2)


def _push(rng: np.random.Generator, shape: tuple[int, int], pixel: float) -> tuple[FloatPlane, FloatPlane]:
    rows, columns = (
        30 / pixel * soft_lumps(rng, shape, 160 / pixel, 45 / pixel)
        + 14 / pixel * soft_lumps(rng, shape, 60 / pixel, 16 / pixel)
        for _ in range(2)
    )
    return rows.astype(np.float32), columns.astype(np.float32)


def _share_out(spec: PhantomSpec, rng: np.random.Generator, area_um2: float, count: int) -> np.ndarray:
    """Share the area among the islets: order gathers it in one of them."""
    if count == 1:
        return np.array([area_um2])
    first = max(1.2 / count, 0.2 + 0.5 * spec.order * rng.uniform(0.6, 1.0))
    rest = rng.gamma(1.6, 1.0, count - 1) + 0.05
    shares = np.concatenate([[first], (1 - first) * rest / rest.sum()])
    floor = min(SMALLEST_UM2, 0.8 * area_um2 / count)
    areas: np.ndarray = floor + (area_um2 - count * floor) * shares
    return areas


def _plant(
    spec: PhantomSpec, rng: np.random.Generator, areas: np.ndarray, room: Mask, deep: FloatPlane, pixel: float
) -> np.ndarray:
    """Draw the ribs of every islet, 1 … N, largest first."""
    ribs = np.zeros(room.shape, np.int32)
    slope = np.gradient(cv2.GaussianBlur(deep, (0, 0), max(1.0, 60 / pixel)))
    places = np.argwhere(room)
    soil = room & (deep > 0.8 * _shallow(spec, deep))
    axis = _long_axis(room & (deep > 0.4 * deep.max()))
    chance = np.maximum(deep[room], 1.0) ** (0.5 + spec.order)
    chance = np.cumsum(chance / chance.sum())
    taken = np.zeros((0, 3))
    for k, area in enumerate(areas):
        radius = np.sqrt(area / np.pi) / pixel
        tries = places[np.minimum(np.searchsorted(chance, rng.random(12)), len(places) - 1)]
        if len(taken):
            clear = (np.hypot(*(tries[:, None] - taken[None, :, :2]).transpose(2, 0, 1)) - taken[:, 2]).min(1)
            root = tries[int(np.argmax(clear))]
        else:
            root = tries[int(np.argmax(deep[tries[:, 0], tries[:, 1]]))]
        # islets stretch along the lobe: the largest with it, the others across the slope of the depth
        along = axis if k == 0 else float(np.arctan2(slope[1][tuple(root)], -slope[0][tuple(root)]))
        # a small islet is a clump, a large one a branching ridge
        ridge = min(1.0, float(radius) * pixel / 250)
        nodes, links = _colonise(rng, root.astype(float), along, float(radius), ridge, soil, ribs)
        for (y, x), parent in zip(nodes, links, strict=True):
            v, u = nodes[parent]
            cv2.line(ribs, (round(x), round(y)), (round(u), round(v)), k + 1, 1)
        taken = np.vstack([taken, np.column_stack([nodes, np.full(len(nodes), 0.45 * radius)])])
    return ribs * room if (ribs * room).any() else ribs


def _shallow(spec: PhantomSpec, deep: FloatPlane) -> np.float32:
    """Return the depth in µm above which medulla hardly grows: the thickness that the cortex would like to have."""
    return np.float32(min(50 + 130 * spec.order, 0.45 * float(deep.max())))


def _long_axis(mask: Mask) -> float:
    """Return the direction (angle of y over x) in which a mask is longest."""
    places = np.argwhere(mask).astype(float)
    if len(places) < 3:
        return 0.0
    axis = np.linalg.eigh(np.cov(places.T))[1][:, -1]
    return float(np.arctan2(axis[0], axis[1]))


def _colonise(
    rng: np.random.Generator,
    root: np.ndarray,
    along: float,
    radius: float,
    ridge: float,
    room: Mask,
    ribs: np.ndarray,
) -> tuple[np.ndarray, list[int]]:
    """Grow a branching rib by space colonisation (Runions et al. 2007).

    Attractors lie in an ellipse around the root; each pulls the nearest node a step towards it and is spent when a
    node comes near. Returns the nodes (y, x) and the parent of each.
    """
    axis = np.array([np.sin(along), np.cos(along)])
    across = np.array([axis[1], -axis[0]])
    stretch = 1 + ridge * rng.uniform(0.2, 1.4)
    polar = np.sqrt(rng.random(40)) * (0.4 + 0.7 * ridge) * radius, rng.uniform(0, 2 * np.pi, 40)
    offset = np.outer(stretch * polar[0] * np.cos(polar[1]), axis) + np.outer(
        polar[0] * np.sin(polar[1]) / np.sqrt(stretch), across
    )
    goals = root + offset
    at = np.clip(np.round(goals).astype(int), 0, np.array(room.shape) - 1)
    goals = goals[room[at[:, 0], at[:, 1]] & (ribs[at[:, 0], at[:, 1]] == 0)]
    step, spent = max(1.0, 0.09 * radius), max(1.5, 0.28 * radius)
    nodes, links = [root], [0]
    for _ in range(60):
        if len(goals) == 0 or len(nodes) > 240:
            break
        away = goals[:, None] - np.array(nodes)[None]
        far = np.hypot(away[..., 0], away[..., 1])
        goals, away, far = (a[far.min(1) > spent] for a in (goals, away, far))
        if len(goals) == 0:
            break
        nearest = far.argmin(1)
        for parent in np.unique(nearest):
            pulls = away[nearest == parent, parent] / far[nearest == parent, parent][:, None]
            pull = pulls.sum(0) + rng.normal(0, 0.25, 2)
            new = nodes[parent] + step * pull / max(float(np.hypot(*pull)), 1e-6)
            y, x = np.clip(np.round(new).astype(int), 0, np.array(room.shape) - 1)
            if room[y, x]:
                nodes.append(new)
                links.append(int(parent))
    return np.array(nodes), links


def _cost(
    spec: PhantomSpec, rng: np.random.Generator, ribs: np.ndarray, deep: FloatPlane, pixel: float
) -> tuple[FloatPlane, np.ndarray]:
    """Return what every place costs (µm from the rib, dearer near the capsule) and whose it is.

    The ground is of lumps, clumps of epithelium that join an islet as a whole, so that its edge is scalloped.
    """
    distance, label = cv2.distanceTransformWithLabels(
        (ribs == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros(int(label.max()) + 1, np.int32)
    of_label[label[ribs > 0]] = ribs[ribs > 0]
    cost = distance * np.float32(pixel)
    cost += np.float32(0.3 + 1.2 * spec.order) * np.maximum(0, _shallow(spec, deep) - deep)
    for size, height in ((200.0, 16.0), (60.0, 9.0)):
        cost += np.float32(height) * lumps(rng, ribs.shape, size / pixel)
    smooth = cv2.GaussianBlur(cost.astype(np.float32), (0, 0), max(0.8, 11 / pixel))
    return smooth, of_label[label]


def _cleft(lead: FloatPlane, owner: np.ndarray, pixel: float) -> FloatPlane:
    """Raise the lead along the watersheds between islets."""
    border = np.zeros(owner.shape, np.uint8)
    border[:-1] |= owner[:-1] != owner[1:]
    border[:, :-1] |= owner[:, :-1] != owner[:, 1:]
    if not border.any():
        return lead
    away = cv2.distanceTransform(1 - border, cv2.DIST_L2, cv2.DIST_MASK_5) * np.float32(pixel)
    raised: FloatPlane = np.maximum(lead, np.float32(GAP_UM / 2) - away)
    return raised


def _reaches(
    wanted: np.ndarray, cost: FloatPlane, owner: np.ndarray, room: Mask, ribs: np.ndarray, pixel: float
) -> np.ndarray:
    """Return how dear a place each islet can pay for so that its area comes out.

    Who lacks room leaves it to others.
    """
    free = room & (_cleft(np.full_like(cost, -1e6), owner, pixel) < 0)
    ground = [np.sort(cost[free & (owner == k + 1)]) for k in range(len(wanted))]
    size = np.array([len(g) for g in ground], float)
    target = wanted.copy()
    for _ in range(8):
        over = np.maximum(target - 0.92 * size, 0)
        target -= over
        space = np.maximum(0.92 * size - target, 0)
        if over.sum() < 1 or space.sum() < 1:
            break
        target += space * min(1.0, over.sum() / space.sum())
    reach = np.zeros(len(wanted) + 1, np.float32)
    for k, g in enumerate(ground):
        if len(g):
            reach[k + 1] = g[min(len(g) - 1, int(target[k]))]
    return reach


def _trim(lead: FloatPlane, room: Mask, ribs: Mask, wanted_px: float) -> Mask:
    """Cut the lead where the area of what hangs on a rib comes out best."""
    values = np.sort(lead[room])
    if wanted_px >= len(values) - 1:
        return room.copy()
    best, nearest = np.zeros(room.shape, bool), np.inf
    low, high = 0, len(values) - 1
    cut = round(wanted_px)
    for _ in range(9):
        medulla = (lead < values[cut]) & room
        _, labels = cv2.connectedComponents(medulla.astype(np.uint8), connectivity=4)
        held = np.zeros(int(labels.max()) + 1, bool)
        held[labels[ribs & medulla]] = True
        held[0] = False
        medulla = held[labels]
        missing = wanted_px - float(np.count_nonzero(medulla))
        if abs(missing) < nearest:
            best, nearest = medulla, abs(missing)
        if abs(missing) < 0.003 * wanted_px:
            break
        # a lump may join all at once: then the area jumps, and halving finds the better side of the jump
        low, high = (cut, high) if missing > 0 else (low, cut)
        guess = cut + round(missing)
        cut = guess if low < guess < high else (low + high) // 2
    return best
