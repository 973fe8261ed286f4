"""How many human cells, where, and how sure: cells and masks in, numbers out (P1-P5, P8-P11)."""
