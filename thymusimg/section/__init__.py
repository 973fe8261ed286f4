"""What is on the slide: lazy images, sections, tiles and the store of results."""
