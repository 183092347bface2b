"""Prediction on a Ray cluster: Ray Data, with an actor for each model.

The files are read on this machine, which has to be one of the cluster's, and what is answered
comes back to it. The others need rnnapps and its packages: the model travels as an archive.
"""

import contextlib
import dataclasses
import functools
import logging
import os
import pathlib
import pickle
import re
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from rnnapps.apps.bulk.answering import Answering
from rnnapps.apps.bulk.parts import Answered, Cut
from rnnapps.apps.bulk.processes import one_thread
from rnnapps.errors import ConfigError, RnnappsError
from rnnapps.files import packed, unpack

_PART_BYTES = 1 << 16  # of a block, which holds one part where it is of more
_ANSWERS_WITHIN = 20  # seconds, which a cluster takes at most to say that it is there


def on_ray(address: str, actors: int | None = None) -> Callable[[Answering, Cut], Iterator]:
    """Joins a Ray cluster.

    Args:
        address: Where it is: `"HOST:PORT"`, `"auto"`, or `"local"` for one on this machine alone.
        actors: How many models answer at once; `None` for one for each of its CPUs.

    Returns:
        A function from an `Answering` and parts to the parts with their answers, as they come.

    Raises:
        ConfigError: If Ray is not installed, or does not answer there.
    """
    try:
        import ray.data
    except ImportError:
        raise ConfigError("--ray needs the package ray: pip install 'rnnapps[ray]'.") from None
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", address)
    if address not in ("auto", "local"):
        _check_there(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        ray.init(
            address, log_to_driver=False, logging_level=logging.ERROR, ignore_reinit_error=True
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        said = str(error).splitlines()[0].rstrip(".")
        raise _nobody(
            address, f": {said} (a cluster with tokens wants RAY_AUTH_MODE=token)"
        ) from None
    count = actors or max(1, int(ray.cluster_resources().get("CPU", 1)))
    return functools.partial(_answered, ray, count)


def _check_there(address: str) -> None:
    """Asks for a cluster's health: where none answers, `ray.init` waits, and ends the process."""
    import grpc

    if not re.fullmatch(r"[^/\s]+:\d+", address):
        raise ConfigError(f"Expected --ray to be HOST:PORT, auto or local. Received: {address}.")
    try:
        with grpc.insecure_channel(address) as channel:
            health = channel.unary_unary("/grpc.health.v1.Health/Check")
            health(b"", timeout=_ANSWERS_WITHIN)
    except grpc.RpcError:
        raise _nobody(address, f" within {_ANSWERS_WITHIN} s") from None


def _nobody(address: str, how: str) -> ConfigError:
    return ConfigError(
        f"No Ray cluster answers at --ray={address}{how}; start one with ray start --head, name "
        "its HOST:PORT, or answer on this machine with --ray=local or --workers."
    )


def _answered(ray: Any, actors: int, answering: Answering, cut: Cut) -> Iterator[Answered]:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = _PART_BYTES
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    here = {"ray.io/node-id": ray.get_runtime_context().get_node_id()}
    model = ray.put(packed(answering.model.folder))
    dataset = ray.data.read_datasource(_source(cut), num_cpus=0, label_selector=here).map_batches(
        _Actor,
        fn_constructor_args=(answering, model),
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=min(actors, len(cut.sizes))),
        num_cpus=1,
    )
    with contextlib.ExitStack() as stack:
        stack.callback(ray.shutdown)
        for row in dataset.iter_rows():
            found = pickle.loads(row["answered"])
            if isinstance(found, RnnappsError):
                raise found
            yield found


def _source(cut: Cut) -> Any:
    """The parts as a source of Ray Data: one task reads them, as they are asked for."""
    import pyarrow
    from ray.data import Datasource, ReadTask
    from ray.data.block import BlockMetadata

    def read() -> Iterator[pyarrow.Table]:
        for part in cut:
            yield pyarrow.table({"part": [pickle.dumps(part)]})

    class Parts(Datasource):
        def estimate_inmemory_data_size(self) -> None:
            return None

        def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
            nothing = BlockMetadata(
                num_rows=None, size_bytes=None, input_files=None, exec_stats=None
            )
            return [ReadTask(read, nothing)]

    return Parts()


class _Actor:
    """A model that answers for one part after the other."""

    def __init__(self, answering: Answering, model: Any):
        import ray

        one_thread()
        archive = ray.get(model) if isinstance(model, ray.ObjectRef) else model
        with tempfile.TemporaryDirectory() as folder:
            unpack(archive, pathlib.Path(folder))
            local = dataclasses.replace(answering.model, folder=pathlib.Path(folder))
            self.answer = dataclasses.replace(answering, model=local).start()

    def __call__(self, batch: Any) -> dict[str, list[bytes]]:
        found = []
        for part in batch["part"].to_pylist():
            try:
                found.append(pickle.dumps(self.answer(pickle.loads(part))))
            except RnnappsError as error:
                found.append(pickle.dumps(error))
        return {"answered": found}
