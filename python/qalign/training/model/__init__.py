"""The model as it is trained: adapters, quantised base, packed forward pass, state and cost."""
