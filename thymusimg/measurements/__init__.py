"""Numbers with units: reorganisation (R) and repopulation (P)."""
