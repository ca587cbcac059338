"""What a training reads and writes besides its data: weights, checkpoints, exports, trackers."""
