"""How far Keratin 8 and Keratin 14 lie in the same places (R6)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thymusimg.measurements.families.declare import BY_PARENCHYMA, SECTION, declare, declare_area
from thymusimg.measurements.schema import Ratio
from thymusimg.measurements.smoothing import smooth_to
from thymusimg.measurements.stains.autocorrelation import autocorrelation_lengths_um
from thymusimg.measurements.stains.binned import lay_bins
from thymusimg.measurements.stains.manders import colocalise, costes_thresholds
from thymusimg.measurements.stains.scramble import ScrambleNull, scramble_null
from thymusimg.measurements.view import NO_PARENCHYMA, no_stain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thymusimg.measurements.row import Row
    from thymusimg.measurements.stains.coexpression import Coexpression
    from thymusimg.measurements.view import SectionView
    from thymusimg.section.model import FloatPlane, Mask
    from thymusimg.settings import MeasurementSettings

_BIN_UM = 2.0
_WHAT_PIXELS_SHOW = (
    "Pixels that hold both show co-expression within cells, the microscope's point spread and bleed-through, not "
    "the mixing of compartments (that is R7)"
)
_MANDERS = "R6; Manders 1993 (J Microsc 169:375)"
_COSTES = "R6; Costes 2004 (Biophys J 86:3993)"


class _Share(NamedTuple):
    """One of Manders' two coefficients: its columns' name, what it is of, and its field."""

    name: str
    signal: str
    other: str
    field: str


_SHARES = (_Share("k8_in_k14", "K8", "K14", "m1"), _Share("k14_in_k8", "K14", "K8", "m2"))

COLUMNS = (
    declare(
        "double_positive_fraction",
        "fraction",
        "Area(K8+ and K14+) / area(K8+ or K14+) in the parenchyma; positive is above Otsu's threshold of the stain "
        f"over the parenchyma, and above three SD of the pixels off the tissue. {_WHAT_PIXELS_SHOW}",
        "R6",
        Ratio("double_positive_area_mm2", "keratin_positive_area_mm2"),
        "logit",
        "0-1",
    ),
    declare(
        "double_positive_share",
        "fraction",
        "Parenchyma that is K8+ and K14+, as a share of tissue and cyst lumen together",
        "R13",
        Ratio("double_positive_area_mm2", SECTION),
        "logit",
        "0-1",
    ),
    declare_area("double_positive_area_mm2", "Parenchyma that is K8+ and K14+", "R6"),
    declare_area("keratin_positive_area_mm2", "Parenchyma that is K8+ or K14+", "R6"),
    *(
        column
        for share in _SHARES
        for column in (
            declare(
                f"manders_{share.name}",
                "fraction",
                f"Share of the parenchyma's {share.signal} signal that lies where {share.other} is positive, at "
                f"the thresholds of double_positive_fraction and at the scale of 2 µm. {_WHAT_PIXELS_SHOW}",
                _MANDERS,
                BY_PARENCHYMA,
                "logit",
                "0-1",
            ),
            declare(
                f"manders_{share.name}_null",
                "fraction",
                f"Mean of manders_{share.name} when blocks of K14, at least as wide as coexpression_block_um, "
                "change places at random inside the parenchyma: what chance gives",
                _COSTES,
                BY_PARENCHYMA,
                "logit",
                "0-1",
            ),
            declare(
                f"manders_{share.name}_p",
                "probability",
                f"Share of the scrambled sections, this one included, whose manders_{share.name} is at least as "
                "large. It describes the section; it is no test between animals",
                _COSTES,
                interval="0-1",
            ),
            declare(
                f"manders_costes_{share.name}",
                "fraction",
                f"manders_{share.name} at Costes' thresholds, below which the stains are not correlated; undefined "
                "where they are not positively correlated at all, as in well sorted sections",
                _COSTES,
                BY_PARENCHYMA,
                "logit",
                "0-1",
            ),
        )
    ),
    declare(
        "keratin_pearson",
        "correlation",
        f"Pearson's r of K8 and K14 over the parenchyma at the scale of 2 µm. {_WHAT_PIXELS_SHOW}",
        "R6",
        BY_PARENCHYMA,
        "identity",
        "-1 to 1",
    ),
    declare(
        "keratin_pearson_p",
        "probability",
        "Share of the scrambled sections, this one included, whose keratin_pearson is at least as large. It "
        "describes the section; it is no test between animals",
        _COSTES,
        interval="0-1",
    ),
    declare(
        "keratin_icq",
        "fraction",
        "Li's intensity correlation quotient: share of the parenchyma where K8 and K14 are both above or both "
        "below their means, less ½",
        "R6; Li 2004 (J Neurosci 24:4070)",
        BY_PARENCHYMA,
        "identity",
        "-0.5 to 0.5",
    ),
    declare(
        "coexpression_block_um",
        "µm",
        "Autocorrelation length (fall to 1/e) of K8 or K14 in the parenchyma, whichever is longer: the least side "
        "of the blocks that are scrambled",
        _COSTES,
        BY_PARENCHYMA,
        "log",
    ),
)


def measure(row: Row, view: SectionView) -> None:
    """Fill in the columns of this family."""
    k8, k14 = view.planes.get("k8"), view.planes.get("k14")
    if k8 is None or k14 is None or view.parenchyma_mm2 == 0:
        why = NO_PARENCHYMA if k8 is not None and k14 is not None else no_stain("k8" if k8 is None else "k14")
        row.put_all(dict.fromkeys((column.name for column in COLUMNS), math.nan), why)
        return
    sigma = view.settings.coexpression_sigma_um
    found = view.coexpression
    names = ("double_positive_fraction", "double_positive_area_mm2", "keratin_positive_area_mm2")
    values = (found.double_positive_fraction, found.both_mm2, found.either_mm2)
    row.put_all(dict(zip(names, values, strict=True)), "neither K8 nor K14 is above background in the parenchyma")
    row.put("double_positive_share", found.both_mm2 / view.whole_mm2)
    # on bins of one size, so that neither the pixels nor what is drawn at random depend on the scanner
    bins = lay_bins(view.parenchyma, _BIN_UM, view.pixel_um)
    planes = [bins.mean(smooth_to(plane, sigma, view.pixel_um)).astype(np.float32) for plane in (k8, k14)]
    _colocalisation(row, view.settings, planes, bins.share() >= 0.5, found)


def _colocalisation(
    row: Row, settings: MeasurementSettings, planes: Sequence[FloatPlane], inside: Mask, found: Coexpression
) -> None:
    k8, k14 = planes
    observed = colocalise(k8, k14, inside, found.k8_threshold, found.k14_threshold)
    costes = costes_thresholds(k8, k14, inside)
    at_costes = colocalise(k8, k14, inside, costes.first, costes.second)
    lengths = autocorrelation_lengths_um(planes, inside, _BIN_UM) if inside.any() else (math.nan, math.nan)
    # NaN if either is: the longer one is not known then
    block_um = max(lengths) if all(math.isfinite(length) for length in lengths) else math.nan
    null = scramble_null(
        k8,
        k14,
        inside,
        found.k8_threshold,
        found.k14_threshold,
        _BIN_UM,
        block_um=block_um,
        scrambles=settings.coexpression_scrambles,
        seed=settings.stain_seed,
    )
    no_length = "a stain does not vary in the parenchyma, or does not lose its likeness within it"
    row.put("coexpression_block_um", block_um, no_length)
    no_null = no_length if math.isnan(block_um) else _few_blocks(null, block_um)
    no_costes = "K8 and K14 are not positively correlated: Costes' thresholds do not exist"
    for share in _SHARES:
        value: float = getattr(observed, share.field)
        no_signal = f"there is no {share.signal} signal in the parenchyma"
        row.put(f"manders_{share.name}", value, no_signal)
        row.put(f"manders_{share.name}_null", null.mean(share.field), no_null)
        row.put(f"manders_{share.name}_p", null.p_above(share.field, value), no_null)
        row.put(f"manders_costes_{share.name}", getattr(at_costes, share.field), no_costes)
    flat = "a stain does not vary in the parenchyma"
    row.put("keratin_pearson", observed.pearson, flat)
    row.put("keratin_pearson_p", null.p_above("pearson", observed.pearson), no_null)
    row.put("keratin_icq", observed.icq, flat)


def _few_blocks(null: ScrambleNull, block_um: float) -> str:
    return f"only {null.blocks} blocks of {block_um:.0f} µm fit into the parenchyma: too few to scramble"
