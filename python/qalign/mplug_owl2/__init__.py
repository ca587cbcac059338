"""mPLUG-Owl2, written literally under its published key names: this folder knows no wire and no training."""
