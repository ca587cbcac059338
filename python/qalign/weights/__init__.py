"""Files of checkpoints, of any family, and the values of a score: this folder knows no model, no wire, no training."""
