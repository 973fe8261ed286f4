"""Synthetic sections with a known answer. They prove code, not biology."""
