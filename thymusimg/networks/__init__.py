"""Networks on a device: architectures, weights that hold no code, batches that fit, windows with a halo."""
