"""Shards on a Ray cluster: places shard workers on nodes and gives out shards. It computes no score.

The folder travels to the cluster with the job (`src/recipes/shards/ray/`), so nodes need `ray`
and the command `qalign`.
"""
