"""The keratin network at full resolution: ridges, their skeleton, its graph, and the meshes between (R9, R10)."""
