"""Processes that train together: how they connect, compare and stop. Imports no TensorFlow."""

from rnnapps.workers.cluster import Cluster, cluster_here, cluster_of, processes_of
from rnnapps.workers.local import check_threads, rnnapps_process, shares, without
from rnnapps.workers.meeting import (
    WorkerLost,
    agree,
    cluster,
    is_chief,
    joined,
    lost,
    share,
)

__all__ = [
    "Cluster",
    "WorkerLost",
    "agree",
    "check_threads",
    "cluster",
    "cluster_here",
    "cluster_of",
    "is_chief",
    "joined",
    "lost",
    "processes_of",
    "rnnapps_process",
    "share",
    "shares",
    "without",
]
