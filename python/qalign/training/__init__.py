"""Training of a run directory that TypeScript has prepared: this folder knows the recipe and no socket."""
