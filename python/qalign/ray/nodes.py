"""Which nodes can work, and whether the same qalign is installed on all of them."""

import subprocess
from math import floor

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

CHECK_S = 120.0


def version_here(program: str) -> str:
    """The version that `program --version` prints, or what is wrong."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, cwd="/", check=False)
    except OSError as error:
        return f"no {program} on PATH ({error.strerror})"
    except subprocess.TimeoutExpired:
        return f"{program} --version did not end in 60 s"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return lines[-1] if lines else f"{program} --version ended with code {done.returncode}"


def working_nodes(resource: str) -> list[dict]:
    """The live nodes that have some of the resource: `CPU` or `GPU`."""
    return [node for node in ray.nodes() if node["Alive"] and node["Resources"].get(resource, 0) > 0]


def versions(nodes: list[dict], program: str) -> dict[str, str]:
    """Name and address of each node → its version of qalign, or what is wrong there.

    Nodes that are lost meanwhile are left out. A worker that starts there later is compared by its first event.
    """
    check = ray.remote(version_here)
    asked = {}
    for node in nodes:
        strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']}:{node['NodeManagerPort']})"
        asked[name] = check.options(num_cpus=0, max_retries=0, scheduling_strategy=strategy).remote(program)
    ray.wait(list(asked.values()), num_returns=len(asked), timeout=CHECK_S)
    answers = {name: _answer(answer) for name, answer in asked.items()}
    return {name: answer for name, answer in answers.items() if answer is not None}


def _answer(answer: ray.ObjectRef) -> str | None:
    try:
        return ray.get(answer, timeout=0)
    except GetTimeoutError:
        return f"no answer in {CHECK_S:g} s"
    except RayError:
        return None


def share_of_cpus(nodes: list[dict], gpus: int) -> int:
    """CPUs for each actor: the smallest share of a GPU, or the smallest node. At least 1."""
    shares = [node["Resources"].get("CPU", 0) / (node["Resources"]["GPU"] if gpus else 1) for node in nodes]
    return max(1, floor(min(shares, default=1)))


def places_on(nodes: list[dict], cpus: int, gpus: int) -> int:
    """How many actors fit on these nodes."""
    fit = [floor(node["Resources"].get("CPU", 0) / cpus) for node in nodes]
    if gpus:
        fit = [min(one, floor(node["Resources"]["GPU"] / gpus)) for one, node in zip(fit, nodes, strict=True)]
    return sum(fit)
