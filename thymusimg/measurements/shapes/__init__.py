"""The shapes of islets, junction and cortex: masks and lines in, numbers out (R2-R5, R12)."""
