"""Cortex, medulla, indeterminate tissue, cysts, other tissue and artefacts."""
