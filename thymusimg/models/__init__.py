"""Trained models as data: their cards, where they are kept, and whether their weights are what the card says."""
