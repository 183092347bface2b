"""How many cores this process may use."""

import os


def usable_cores() -> int:
    """Number of cores that this process may use, or of TensorFlow's threads if they are fewer."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    asked = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    return min(cores, int(asked)) if asked.isdecimal() and int(asked) else cores
