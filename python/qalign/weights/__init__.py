"""Checkpoint files of any model family, and the types of a score. Imports no model, no bridge and no training."""
