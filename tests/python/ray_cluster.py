"""A Ray cluster of two nodes, each with one CPU, on this machine."""
import os
import pathlib

# A node starts within this time, also on a busy machine.
os.environ.setdefault("RAY_raylet_start_wait_time_s", "180")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray.cluster_utils  # noqa: E402  (it reads the variables)

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTDATA = ROOT / "tests" / "testdata"
TOY = str(TESTDATA / "gguf" / "gemma3_mixed.gguf")
NEVER_ENDS = {"1": -100, "6": -100}  # the toy's tokens that end a text
SECONDS = 120  # in which things happen that happen at once, on a busy machine


def start():
    """Returns the cluster. `second` is its node that tests may remove."""
    cluster = start_head()
    cluster.second = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    return cluster


def start_head():
    """Returns a cluster that has only its first node."""
    return ray.cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
