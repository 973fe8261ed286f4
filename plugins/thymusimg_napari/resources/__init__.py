"""Icons: currentColor where the theme decides, a dark and a light copy where napari picks one."""
