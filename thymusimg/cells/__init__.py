"""Human CD45+ cells: found, gated, placed in their compartments."""
