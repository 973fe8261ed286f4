"""The peer: what people script today with scikit-image. Otsu, distance watershed, regionprops_table."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import tifffile
from scipy import ndimage as ndi
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label, regionprops_table
from skimage.morphology import remove_small_objects
from skimage.segmentation import watershed


def main(path: str) -> None:
    cd45, k14, k8 = tifffile.imread(path)[:3]
    smooth = gaussian(cd45, 1.0, preserve_range=True)
    positive = ndi.binary_fill_holes(smooth > threshold_otsu(smooth))
    distance = gaussian(ndi.distance_transform_edt(positive), 1.0)
    peaks = peak_local_max(distance, min_distance=4, labels=label(positive))
    markers = np.zeros(cd45.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    cells = remove_small_objects(watershed(-distance, markers, mask=positive), max_size=30)
    blurred = [gaussian(c, 10, preserve_range=True) for c in (k14, k8)]
    medulla = blurred[0] > threshold_otsu(blurred[0])
    cortex = (blurred[1] > threshold_otsu(blurred[1])) & ~medulla
    table = pd.DataFrame(
        regionprops_table(
            cells, np.stack([cd45, k14, k8], -1), properties=("label", "area", "centroid", "intensity_mean")
        )
    )
    print(len(table), int(medulla.sum()), int(cortex.sum()))


if __name__ == "__main__":
    main(sys.argv[1])
