"""A literal implementation of mPLUG-Owl2 with the published key names. It imports neither the bridge nor training."""
