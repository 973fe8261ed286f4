"""Sections to animals to groups."""
