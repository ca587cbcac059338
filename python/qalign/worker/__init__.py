"""The process that Node sends requests to: messages become calls and answers; tensors are the other folders' work."""
