"""The model in training: adapters, quantised base, packed forward pass, state and cost."""
