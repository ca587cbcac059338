"""Scores with image-text models of the package transformers, behind the interface of the first model family."""
