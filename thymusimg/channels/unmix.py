"""Unmixing with a matrix from single-stain controls; never one learnt from the sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from thymusimg.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAXIMUM_CONDITION = 20.0


def inverse_mixing(mixing: Mapping[str, Mapping[str, float]], roles: Sequence[str]) -> npt.NDArray[np.float64]:
    """Invert a mixing matrix given as ``mixing[measured][source]``.

    ``y = S x``: what is measured is the sum of the sources' signals; hence ``x = S⁻¹ y``. Missing entries are 0
    off the diagonal and 1 on it. Roles that the section lacks are left out.

    Returns
    -------
    (R, R) float64
        Over ``roles`` in order.

    Raises
    ------
    SettingsError
        If a share is negative or above 1, a diagonal is not 1, or the matrix is close to singular.

    Examples
    --------
    >>> inverse_mixing({"k8": {"k14": 0.1}}, ("k14", "k8")).round(3).tolist()
    [[1.0, 0.0], [-0.1, 1.0]]
    """
    matrix = np.eye(len(roles))
    for measured, sources in mixing.items():
        for source, share in sources.items():
            if not 0 <= share <= 1 or (measured == source and share != 1):
                raise SettingsError(
                    f"correction.unmixing: {measured} <- {source} = {share:g}; expected a share from 0 to 1, "
                    "and 1 on the diagonal"
                )
            if measured in roles and source in roles:
                matrix[list(roles).index(measured), list(roles).index(source)] = share
    condition = float(np.linalg.cond(matrix))
    if condition > MAXIMUM_CONDITION:
        raise SettingsError(
            f"correction.unmixing: the matrix cannot be inverted safely (condition number {condition:.3g}, "
            f"at most {MAXIMUM_CONDITION:g}); the channels are too alike"
        )
    inverse: npt.NDArray[np.float64] = np.linalg.inv(matrix).astype(np.float64)
    return inverse
