"""Training of image-text models of transformers behind the same loop: their conversations, batches, parts and files."""
