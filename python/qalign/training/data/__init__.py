"""From prepared pixels to batches on a device; nothing of the losses or the optimizer."""
