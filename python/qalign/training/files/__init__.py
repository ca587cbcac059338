"""Files that training reads and writes besides its data: weights, checkpoints, exports, trackers."""
