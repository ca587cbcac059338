"""Turns prepared pixels into batches on a device. It does not depend on the losses or the optimizer."""
