"""Did the stains work, and are they their own? Signal, bleed-through, autofluorescence, registration."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.channels.check import Check, Status, grade, percent, unmeasured
from thymusimg.channels.markers import role_name

if TYPE_CHECKING:
    from thymusimg.channels.check import Evidence

    Values = npt.NDArray[np.float32]

_EVEN = 0.15
_NOISE_99 = 2.33
"""The 99th percentile of normal noise, in SDs."""
_BINS = 12
_DIM = 0.25
_ALIKE = 0.3


def check_signals(evidence: Evidence) -> list[Check]:
    """Tell, for every stain, whether the tissue shows it above the background."""
    contrast = {role: _contrast(evidence, role) for role in evidence.planes}
    empty = {role for role, value in contrast.items() if value < evidence.settings.signal_fail}
    return [_signal(evidence, role, contrast[role], empty) for role in evidence.planes]


def check_bleed(evidence: Evidence, role: str) -> Check:
    """Estimate how much of another stain shows in this one.

    The lower envelope (5th percentile) of this channel in bins of the other rises with the other even where the
    stain itself is absent; its slope bounds the bleed-through from above.
    """
    # What is dim beside this stain cannot lend it much: a slope would only show what both owe the tissue.
    spread = {name: _spread(values) for name, values in evidence.signal.items()}
    others = [name for name in evidence.signal if name != role and spread[name] >= _DIM * spread[role]]
    slopes = {other: lower_envelope_slope(evidence.signal[other], evidence.signal[role]) for other in others}
    slopes = {other: slope for other, slope in slopes.items() if math.isfinite(slope)}
    if not slopes:
        why = "no other stain is bright enough to show in this one"
        return unmeasured(role, "bleed_through", "slope", why)
    source = max(slopes, key=lambda other: slopes[other])
    slope = max(0.0, slopes[source])
    status = grade(slope, evidence.settings.bleed_pass, evidence.settings.bleed_fail)
    if status == "fail" and {role, source} == {"k14", "k8"}:
        status = "warn"  # epithelium may truly hold both keratins
    reason = f"up to {percent(slope)} of the brightness of {role_name(source)} may show in {role_name(role)}"
    if slope == 0:
        reason = f"no sign that {role_name(source)} shows in {role_name(role)}"
    if status == "pass":
        return Check(role, "bleed_through", slope, "slope", status, reason, f"from {source}")
    reason += "; true co-expression and thick tissue look the same: only single-stain controls tell them apart"
    return Check(role, "bleed_through", slope, "slope", status, reason, f"from {source}")


def _spread(values: Values) -> float:
    low, high = np.percentile(values, (50, 99.5)) if values.size else (0.0, 0.0)
    return float(high - low)


def lower_envelope_slope(source: Values, target: Values) -> float:
    """Slope of the 5th percentile of ``target`` over the upper half of ``source``; NaN with too few values.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> source = rng.gamma(2, 100, 20_000)
    >>> stain = np.where(rng.random(20_000) < 0.5, 0, rng.gamma(2, 50, 20_000))
    >>> round(lower_envelope_slope(source, stain + 0.1 * source), 2)
    0.1
    """
    if source.size < 50 * _BINS:
        return math.nan
    low, high = (float(v) for v in np.percentile(source, (50, 99.5)))
    if not high > low:
        return math.nan
    edges = np.linspace(low, high, _BINS + 1)
    used = np.flatnonzero((source >= low) & (source < edges[-1]))  # half of the values lie below
    which = np.digitize(source[used], edges) - 1
    order = used[np.argsort(which.astype(np.uint8), kind="stable")]
    ends = np.cumsum(np.bincount(which, minlength=_BINS))
    centres, floors, weights = [], [], []
    for inside in np.split(order, ends[:-1]):
        if len(inside) >= 20:
            centres.append(float(source[inside].mean()))
            floors.append(float(np.percentile(target[inside], 5)))
            weights.append(math.sqrt(len(inside)))
    if len(centres) < 4:
        return math.nan
    return float(np.polyfit(centres, floors, 1, w=weights)[0])


def check_autofluorescence(evidence: Evidence) -> Check:
    """Measure the share of the tissue that is an outlier to the bright side in every channel at once."""
    unit = "share of tissue"
    if len(evidence.signal) < 3:
        why = "with two stains, co-expression cannot be told from autofluorescence"
        return unmeasured("", "autofluorescence", unit, why)
    if next(iter(evidence.signal.values())).size < 100:
        return unmeasured("", "autofluorescence", unit, "too little tissue")
    bright = np.ones(next(iter(evidence.signal.values())).shape, dtype=bool)
    for values in evidence.signal.values():
        quartile, median, upper = np.percentile(values, (25, 50, 75))
        bright &= values > median + 3 * max(float(upper - quartile) / 1.349, 1e-9)
    share = float(bright.mean())
    status = grade(share, evidence.settings.autofluorescence_pass, evidence.settings.autofluorescence_fail)
    reason = (
        f"{percent(share)} of the tissue is very bright in every channel at once" if share else "none was found"
    )
    if status != "pass":
        reason += ": folds, debris, red cells or autofluorescent macrophages rather than stain"
    return Check("", "autofluorescence", share, unit, status, reason)


def check_registration(evidence: Evidence) -> Check:
    """Measure the shift between the keratin channels, where they show the same structures."""
    unit, check = "px", "registration"
    if not {"k14", "k8"} <= set(evidence.planes) or np.count_nonzero(evidence.inside) < 4096:
        return unmeasured("k14", check, unit, "both keratins and enough tissue are needed")
    import cv2

    window = _busiest(evidence)
    mask = evidence.inside[window]
    fine = [_fine_detail(evidence.planes[role][window], mask) for role in ("k8", "k14")]
    alike = float(np.corrcoef(fine[0][mask], fine[1][mask])[0, 1]) if mask.any() else 0.0
    if not alike > _ALIKE:
        why = f"the two keratins show different structures here (correlation {alike:.2f}), so no shift can be read"
        return unmeasured("k14", check, unit, why)
    hann = cv2.createHanningWindow(mask.shape[::-1], cv2.CV_64F)
    (dx, dy), _ = cv2.phaseCorrelate(fine[0].astype(np.float64), fine[1].astype(np.float64), hann)
    shift = math.hypot(dx, dy) * evidence.survey.grid.factor
    status = grade(shift, evidence.settings.registration_pass_px, evidence.settings.registration_fail_px)
    reason = f"K14 lies {shift:.1f} px from K8"
    return Check("k14", check, shift, unit, status, reason)


def _signal(evidence: Evidence, role: str, contrast: float, empty: set[str]) -> Check:
    unit, check, said = "SD of background", "signal", role_name(role)
    plane, valid = evidence.survey.planes[role], evidence.survey.valid
    if np.ptp(plane[valid] if valid.any() else plane) == 0:
        return Check(role, check, 0.0, unit, "fail", f"{said} is one constant value: the channel is empty")
    if math.isnan(contrast):
        why = "there is no tissue or no background off the tissue to compare with"
        return unmeasured(role, check, unit, why, "warn")
    status = grade(contrast, evidence.settings.signal_pass, evidence.settings.signal_fail)
    if status == "fail":
        return Check(role, check, contrast, unit, *_emptiness(evidence, role, empty))
    reason = f"bright tissue stands {contrast:.3g} SD above background noise"
    low, high = (float(v) for v in np.percentile(evidence.signal[role], (50, 99)))
    if low > 0 and (high - low) / low < _EVEN:
        reason += ", but is evenly bright: this may be autofluorescence, not stain"
        return Check(role, check, contrast, unit, "warn", reason)
    if status == "warn":
        reason += ": weak, near the noise"
    return Check(role, check, contrast, unit, status, reason)


def _emptiness(evidence: Evidence, role: str, empty: set[str]) -> tuple[Status, str]:
    said = role_name(role)
    none = f"{said} shows no signal above background"
    if role == "cd45" and evidence.section.subject.negative_control:
        return "pass", f"{none}, as expected of a negative control"
    if role == "cd45":
        return "warn", f"{none}: empty or failed stain; a thymus without human cells looks so too, check the slide"
    if {"k14", "k8"} <= empty and role in ("k14", "k8"):
        return "fail", f"{none}, and neither does the other keratin: failed stains, or not thymus"
    if role == "k8":
        return "fail", f"{none}: thymic epithelium always has some, so the stain has most likely failed"
    if role == "k14":
        return "warn", f"{none}: failed stain, or a section without medulla; check the slide"
    return "warn", f"{none}: empty or failed stain, check the slide"


def _contrast(evidence: Evidence, role: str) -> float:
    """Return how far the tissue's 99th percentile lies above that of background noise, in SDs; else NaN."""
    values, sd = evidence.signal[role], evidence.background_sd[role]
    if values.size == 0 or math.isnan(sd):
        return math.nan
    return float(np.percentile(values, 99)) / sd - _NOISE_99 if sd > 0 else math.inf


def _busiest(evidence: Evidence) -> tuple[slice, slice]:
    """Return the window of at most 512 coarse pixels that holds the most tissue."""
    import cv2

    side = 512
    inside = evidence.inside.astype(np.float32)
    if max(inside.shape) <= side:
        return slice(None), slice(None)
    height, width = (min(side, n) for n in inside.shape)
    total = cv2.integral(inside)
    tops = np.arange(0, inside.shape[0] - height + 1, 64)
    lefts = np.arange(0, inside.shape[1] - width + 1, 64)
    count = (
        total[np.ix_(tops + height, lefts + width)]
        - total[np.ix_(tops, lefts + width)]
        - total[np.ix_(tops + height, lefts)]
        + total[np.ix_(tops, lefts)]
    )
    top, left = np.unravel_index(int(count.argmax()), count.shape)
    return slice(tops[top], tops[top] + height), slice(lefts[left], lefts[left] + width)


def _fine_detail(plane: Values, mask: npt.NDArray[np.bool_]) -> Values:
    """Return what is left of a plane inside the tissue without its broad brightness."""
    import cv2

    level = float(np.median(plane[mask])) if mask.any() else 0.0
    filled = np.where(mask, plane, level).astype(np.float32)
    detail: Values = filled - cv2.GaussianBlur(filled, (0, 0), 4)
    # Single glaring spots would decide the correlation alone.
    limit = 4 * float(detail[mask].std()) if mask.any() else 1.0
    return np.where(mask, np.clip(detail, -limit, limit), 0).astype(np.float32)
