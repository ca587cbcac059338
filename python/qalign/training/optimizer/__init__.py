"""AdamW in 32 and 8 bits, learning rates for the parts of a model, schedules and weight averages."""
