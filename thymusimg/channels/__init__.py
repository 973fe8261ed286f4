"""Which stain is which, whether it is usable, and how it is corrected."""
