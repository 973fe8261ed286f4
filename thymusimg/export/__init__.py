"""A run's results in the formats of other programs: outlines for QuPath, tidy tables, AnnData, SpatialData."""
