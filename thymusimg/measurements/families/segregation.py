"""Whether K14- and K8-dominated places are sorted, and at which scale (R7, R8)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thymusimg.measurements.families.declare import BY_PARENCHYMA, declare
from thymusimg.measurements.pattern.cross import measure_cross_pattern
from thymusimg.measurements.pattern.window import Window
from thymusimg.measurements.schema import Curve, Sum
from thymusimg.measurements.stains.blobs import (
    CROSS_RADII_UM,
    CROSS_RADIUS_UM,
    cross_ratio,
    find_blobs,
    in_window_order,
)
from thymusimg.measurements.stains.moran import MORAN_TILE_UM, tile_autocorrelation, tile_maps
from thymusimg.measurements.stains.segregation import SEGREGATION_TILES_UM, segregation_curve
from thymusimg.measurements.view import NO_PARENCHYMA, no_stain

if TYPE_CHECKING:
    from thymusimg.measurements.row import Row
    from thymusimg.measurements.view import SectionView
    from thymusimg.section.model import FloatPlane

_MIN_BLOBS = 10
_DESCRIBES = "It describes the section; it is no test between animals"

COLUMNS = (
    *(
        declare(
            f"segregation_index_{tile_um:g}um",
            "fraction",
            f"1 - H{tile_um:g} / Hglobal: how much of the mixture of K14- and K8-dominated places is sorted at "
            f"{tile_um:g} µm; from the stains, never from the compartments",
            "R7",
            BY_PARENCHYMA,
            "logit",
            "≤ 1; 0 is unsorted",
        )
        for tile_um in SEGREGATION_TILES_UM
    ),
    declare(
        "stain_entropy",
        "bit",
        "Hglobal: entropy of the K14-dominated share of the parenchyma, 1 where half is K14- and half "
        "K8-dominated; over the tiles of segregation_index_50um",
        "R7",
        BY_PARENCHYMA,
        "identity",
        "0-1",
    ),
    declare(
        "k14_share_moran_i",
        "correlation",
        "Moran's I of the logit of the K14 share on 25 µm tiles, queen weights: 0 where neighbours are no more "
        "alike than chance, towards 1 for a smooth map",
        "R7; Moran 1950 (Biometrika 37:17)",
        BY_PARENCHYMA,
        "identity",
        "about -1 to 1",
    ),
    declare(
        "k14_share_moran_p",
        "probability",
        f"Share of random arrangements of the tiles, this one included, with at least this Moran's I. {_DESCRIBES}",
        "R7",
        interval="0-1",
    ),
    declare(
        "k14_share_geary_c",
        "ratio",
        "Geary's c of the logit of the K14 share on 25 µm tiles, queen weights: 1 where neighbours are no more "
        "alike than chance, towards 0 for a smooth map",
        "R7; Geary 1954 (Inc Stat 5:115)",
        BY_PARENCHYMA,
        "log",
    ),
    declare(
        "k14_share_geary_p",
        "probability",
        f"Share of random arrangements of the tiles, this one included, with at most this Geary's c. {_DESCRIBES}",
        "R7",
        interval="0-1",
    ),
    declare(
        "stain_divergence",
        "fraction",
        "Jensen-Shannon divergence of the K14 and K8 maps on 25 µm tiles, each over its sum, divided by ln 2: 0 "
        "the same map, 1 no tile holds both",
        "R7; Lin 1991 (IEEE Trans Inf Theory 37:145)",
        BY_PARENCHYMA,
        "logit",
        "0-1",
    ),
    *(
        declare(
            f"{role}_blob_count",
            "count",
            f"Bright spots of {role.upper()} in the parenchyma: maxima at σ = 5 µm within 10 µm, above the stain's "
            "threshold of double_positive_fraction",
            "R8",
            Sum(),
            "log",
            dtype="int",
        )
        for role in ("k14", "k8")
    ),
    declare(
        "keratin_cross_ratio_50um",
        "ratio",
        "Pairs of a K14 and a K8 spot within 50 µm, over their mean when it is dealt anew which spot shows which "
        "keratin (cross-K, translation-corrected): 1 mixed at random, below 1 the kinds keep apart",
        "R8",
        BY_PARENCHYMA,
        "log",
    ),
    declare(
        "keratin_cross_p",
        "probability",
        "p value of the cross-L of K14 and K8 spots against spots of random kind, over 10-100 µm at once (extreme "
        f"rank length). {_DESCRIBES}",
        "R8; Myllymäki et al. 2017",
        interval="0-1",
    ),
)

CURVES = (
    Curve(
        "segregation_index", "tile side", "µm", "fraction", "1 - H / Hglobal at a tile size, as the columns", "R7"
    ),
    Curve(
        "stain_entropy",
        "tile side",
        "µm",
        "bit",
        "Mean entropy of the K14-dominated share within a tile: 0 pure tiles, 1 half and half",
        "R7",
    ),
    Curve(
        "keratin_cross_l",
        "distance",
        "µm",
        "µm",
        "Cross-L of K14 and K8 spots less the distance, with the global 95 % envelope of spots of random kind: "
        "below it the kinds keep apart",
        "R8; Myllymäki et al. 2017",
    ),
)


def measure(row: Row, view: SectionView) -> None:
    """Fill in the columns and curves of this family."""
    k8, k14 = view.planes.get("k8"), view.planes.get("k14")
    if k8 is None or k14 is None or view.parenchyma_mm2 == 0:
        why = NO_PARENCHYMA if k8 is not None and k14 is not None else no_stain("k8" if k8 is None else "k14")
        row.put_all(dict.fromkeys((column.name for column in COLUMNS), math.nan), why)
        for curve in CURVES:
            row.no_curve(curve.name, why)
        return
    _sorting(row, view, k8, k14)
    _tiles(row, view, k8, k14)
    _spots(row, view, k8, k14)


def _sorting(row: Row, view: SectionView, k8: FloatPlane, k14: FloatPlane) -> None:
    found = segregation_curve(k8, k14, view.parenchyma, view.pixel_um, min_coverage=view.settings.tile_min_coverage)
    for tile_um, at in zip(SEGREGATION_TILES_UM, found, strict=True):
        why = f"one stain is empty or dominates everywhere, or no {tile_um:g} µm tile holds enough parenchyma"
        row.put(f"segregation_index_{tile_um:g}um", at.sorting, why)
    fifty = found[SEGREGATION_TILES_UM.index(50.0)]
    row.put("stain_entropy", fifty.whole_entropy, "one stain is empty, or no 50 µm tile holds enough parenchyma")
    why = "one stain is empty or dominates everywhere, or no tile of this size holds enough parenchyma"
    weight = [at.area_mm2 for at in found]
    row.curve("segregation_index", SEGREGATION_TILES_UM, [at.sorting for at in found], weight=weight, why=why)
    row.curve("stain_entropy", SEGREGATION_TILES_UM, [at.entropy for at in found], weight=weight, why=why)


def _tiles(row: Row, view: SectionView, k8: FloatPlane, k14: FloatPlane) -> None:
    names = ("k14_share_moran_i", "k14_share_moran_p", "k14_share_geary_c", "k14_share_geary_p")
    maps = tile_maps(k8, k14, view.parenchyma, view.pixel_um, min_coverage=view.settings.tile_min_coverage)
    no_tile = f"one stain is empty, or no {MORAN_TILE_UM:g} µm tile holds enough parenchyma"
    if maps is None:
        row.put_all(dict.fromkeys((*names, "stain_divergence"), math.nan), no_tile)
        return
    alike = tile_autocorrelation(
        maps.logit, permutations=view.settings.tile_permutations, seed=view.settings.stain_seed
    )
    why = f"the K14 share is the same everywhere, or {alike.tiles} tiles with a neighbour are too few"
    row.put_all(dict(zip(names, alike[:4], strict=True)), why)
    row.put("stain_divergence", maps.divergence, "one stain is empty on the tiles")


def _spots(row: Row, view: SectionView, k8: FloatPlane, k14: FloatPlane) -> None:
    settings, pixel_um = view.settings, view.pixel_um
    positive = view.coexpression
    first = find_blobs(k14, view.parenchyma, positive.k14_threshold, pixel_um) * pixel_um
    second = find_blobs(k8, view.parenchyma, positive.k8_threshold, pixel_um) * pixel_um
    row.put("k14_blob_count", len(first))
    row.put("k8_blob_count", len(second))
    names = ("keratin_cross_ratio_50um", "keratin_cross_p")
    if min(len(first), len(second)) < _MIN_BLOBS:
        why = f"{len(first)} spots of K14 and {len(second)} of K8: at least {_MIN_BLOBS} of each are needed"
        row.put_all(dict.fromkeys(names, math.nan), why)
        row.no_curve("keratin_cross_l", why)
        return
    window = Window.of(view.parenchyma, pixel_um)
    pattern = measure_cross_pattern(
        in_window_order(first, window),
        in_window_order(second, window),
        window,
        np.array(CROSS_RADII_UM),
        simulations=settings.spot_relabellings,
        seed=settings.stain_seed,
        threads=view.compute.threads or 1,
    )
    row.put(names[0], cross_ratio(pattern, CROSS_RADIUS_UM), "no two spots lie within 50 µm")
    row.put(names[1], pattern.null.p)
    row.curve(
        "keratin_cross_l",
        CROSS_RADII_UM,
        pattern.excess_um,
        low=pattern.null.low,
        high=pattern.null.high,
        weight=view.parenchyma_mm2,
    )
