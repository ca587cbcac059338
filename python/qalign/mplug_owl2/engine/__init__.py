"""The fast path of mPLUG-Owl2: it scores as the literal model does, which is the oracle of its tests."""
