"""One widget a stage, each a thin caller of the engine."""
