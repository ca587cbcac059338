"""`python -m qalign.ray`: the driver of a job, started by Ray in the folder of the job, which has `job.json`.

- `version`: the version of qalign that the nodes must have.
- `command`: the shard worker, without `--device`.
- `device`: `auto`, `cpu` or `cuda`.
- `actors`, `cpus`: the number of workers and the CPUs for each; null for what the cluster has now.
- `shards`: a list of lines for the worker, `shard` and `output`.

The events go to stdout, which is the log of the job. The exit code is 0 if every shard was computed or named.
"""

import json
import sys
from pathlib import Path

import ray

from .dispatcher import Dispatcher
from .drive import drive, print_event
from .nodes import places_on, share_of_cpus, versions, working_nodes
from .pool import RayPool


def main() -> int:
    job = json.loads(Path("job.json").read_text(encoding="utf-8"))
    ray.init(address="auto", log_to_driver=False, logging_level="ERROR")
    gpus = int(job["device"] == "cuda" or (job["device"] == "auto" and ray.cluster_resources().get("GPU", 0) > 0))
    nodes = working_nodes("GPU" if gpus else "CPU")
    found = versions(nodes, job["command"][0])
    print_event({"event": "nodes", "nodes": found})
    others = [f"{node}: {version}" for node, version in found.items() if version != job["version"]]
    if others:
        message = (
            f"qalign {job['version']} is needed on all nodes, but these differ: {'; '.join(others)}. Install it there."
        )
        print_event({"event": "error", "error": {"code": "RAY_NODES_DIFFER", "message": message, "retry": False}})
        return 1
    cpus = job["cpus"] or share_of_cpus(nodes, gpus)
    fit = places_on(nodes, cpus, gpus)
    places = min(job["actors"] or max(fit, 1), max(len(job["shards"]), 1))
    device = ["--device", "cuda:0" if gpus else "cpu"]
    pool = RayPool([*job["command"], *device], cpus, gpus)
    dispatcher = Dispatcher(job["shards"], places, job["version"], min(places, fit))
    return 0 if drive(dispatcher, pool) else 1


if __name__ == "__main__":
    sys.exit(main())
