"""How weights change: AdamW in 32 and 8 bits, learning rates of the parts of a model, schedules, averages."""
