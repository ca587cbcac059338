"""Trains in a run directory that TypeScript has prepared. This package reads the recipe and opens no socket."""
