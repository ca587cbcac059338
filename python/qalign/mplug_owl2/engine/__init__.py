"""The fast implementation of mPLUG-Owl2. Its tests compare its scores with those of the literal model."""
