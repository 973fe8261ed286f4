"""The napari plugin of thymusimg. It holds no science: every button is one call of the engine."""
