"""How Keratin 8 and Keratin 14 share the tissue: planes and masks in, numbers out (R6-R8, R11, R14, R16)."""
