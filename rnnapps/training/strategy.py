"""Distribution strategies by name, and on a CPU one replica per core."""

import contextlib
import functools

import tensorflow as tf

from rnnapps import workers
from rnnapps.config import TrainingConfig
from rnnapps.cores import usable_cores
from rnnapps.errors import ConfigError
from rnnapps.progress import say
from rnnapps.training.replicas import CoresStrategy, MultiWorkerStrategy

_MOST = 8  # replicas
_FEWEST = 8  # rows of a batch per replica: with fewer, adding up gradients costs more
_cores: list[str] = []  # the logical CPUs of `share_cores`
_threads: list[int] = []  # what `use_cores` was given, if anything


def share_cores(threads: int | None = None) -> None:
    """Lets `strategy="auto"` train with a replica for each core of a CPU.

    The operations of a recurrent step are too small for several threads: replicas of one thread,
    each with its rows of the batch, take two thirds of the time. The results are those of one
    device. Call it before TensorFlow has run an operation, which fixes the devices; `rnnapps train`
    does so. With a GPU, or a single core, it does nothing.

    Args:
        threads: Cores to use; `None` for all that the process may use, at most 8.

    Raises:
        ConfigError: If `threads` is less than 1.
        RuntimeError: If TensorFlow has already run an operation.

    Example:
    >>> import rnnapps.training
    >>> rnnapps.training.share_cores(1)
    """
    count = min(_checked(threads), _MOST)
    if count == 1 or _devices("GPU"):
        return
    (cpu,) = _devices("CPU")
    logical = [tf.config.LogicalDeviceConfiguration()] * count
    tf.config.set_logical_device_configuration(cpu, logical)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(count)
    # On a graph of several replicas these take seconds, and its steps are no faster for them.
    costly = ("constant_folding", "layout_optimizer", "remapping")
    tf.config.optimizer.set_experimental_options(dict.fromkeys(costly, False))
    _cores[:] = [f"CPU:{i}" for i in range(count)]


def use_cores(config: TrainingConfig, threads: int | None = None) -> None:
    """Sets up TensorFlow's devices for one training, before TensorFlow has run an operation.

    Args:
        config: Its `strategy`, `jit` and `batch_size` are read.
        threads: Cores to use; `None` for all that the process may use.

    Raises:
        ConfigError: If `threads` is less than 1, or if `strategy` is `"multi_worker"` outside
            `rnnapps.workers.joined()`.
    """
    cores = _checked(threads)
    _threads[:] = [] if threads is None else [threads]
    if _with_others(config):
        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        make_strategy("multi_worker")  # has to come before any operation of TensorFlow
        return
    rows = config.batch_size or _MOST * _FEWEST  # 0: the application decides later
    shared = config.strategy == "auto" and not config.jit
    with contextlib.suppress(RuntimeError):  # TensorFlow has already been set up
        if shared and replicas_for(rows, cores) > 1:
            share_cores(cores)
        elif threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)


def _checked(threads: int | None) -> int:
    """Number of cores to use."""
    workers.check_threads(threads)
    return threads or usable_cores()


def strategy_of(config: TrainingConfig, rows: int | None = None) -> tf.distribute.Strategy:
    """Makes the distribution strategy of a training.

    Args:
        config: Its `strategy`, `jit` and `batch_size` are read.
        rows: Rows of a batch, if they are not `config.batch_size`.

    Returns:
        The strategy, under whose `scope()` the model is built and compiled.

    Raises:
        ConfigError: If there is no such device, or the workers cannot share a batch.
    """
    if _with_others(config) or config.strategy != "auto" or config.jit or _devices("GPU"):
        strategy = make_strategy("multi_worker" if _with_others(config) else config.strategy)
        if rows is None and isinstance(strategy, MultiWorkerStrategy):
            _check_rows(config.batch_size, strategy.num_replicas_in_sync)
        return strategy
    rows = rows or config.batch_size
    if not (_cores or _threads) and replicas_for(rows, usable_cores()) > 1:
        _say_how()
    count = replicas_for(rows, len(_cores))
    return _mirrored(tuple(_cores[:count])) if count > 1 else tf.distribute.get_strategy()


def _with_others(config: TrainingConfig) -> bool:
    """Whether to train in several processes; `auto` does so within `rnnapps.workers.joined()`."""
    joined = workers.cluster() is not None and config.strategy == "auto"
    return joined or config.strategy == "multi_worker"


def _check_rows(rows: int, replicas: int) -> None:
    if rows % replicas:
        raise ConfigError(
            f"Expected --batch-size to be a multiple of {replicas}, the number of replicas. "
            f"Received: {rows}."
        )


def replicas_for(rows: int, cores: int) -> int:
    """Number of replicas that share a batch: all get the same number of rows, at least 8.

    Args:
        rows: Rows of the batch.
        cores: Cores of this machine.

    Returns:
        The number of replicas; 1 if the batch is too small to share.
    """
    fitting = (n for n in range(2, min(cores, _MOST) + 1) if rows % n == 0 and rows // n >= _FEWEST)
    return max(fitting, default=1)


@functools.cache  # once
def _say_how() -> None:
    say([
        f"training on one device; `rnnapps train`, or rnnapps.training.share_cores() before "
        f"TensorFlow has run, trains with a replica for each of the {usable_cores()} cores"
    ])  # fmt: skip


@functools.cache
def make_strategy(name: str) -> tf.distribute.Strategy:
    """Makes the distribution strategy of a `--strategy` name.

    Args:
        name: `"auto"` (all GPUs if there are several, else TensorFlow's own choice), `"cpu"`,
            `"gpu"` (the first one), `"mirrored"` (all GPUs, or all logical CPUs where there is no
            GPU), `"multi_worker"` (those of several processes, see `rnnapps.workers.joined`) or
            `"tpu"`.

    Returns:
        The strategy, under whose `scope()` the model is built and compiled.

    Raises:
        ConfigError: If there is no such device.
    """
    gpus = tuple(gpu.name.removeprefix("/physical_device:") for gpu in _devices("GPU"))
    if name == "auto":
        return _mirrored(gpus) if len(gpus) > 1 else tf.distribute.get_strategy()
    if name == "cpu":
        return tf.distribute.OneDeviceStrategy("/cpu:0")
    if name == "gpu":
        if not gpus:
            raise ConfigError("Expected a GPU for --strategy=gpu, but TensorFlow sees none.")
        return tf.distribute.OneDeviceStrategy("/gpu:0")
    if name == "mirrored":
        return _mirrored(gpus or tuple(cpu.name for cpu in tf.config.list_logical_devices("CPU")))
    if name == "multi_worker":
        return _of_workers()
    if name == "tpu":
        try:
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
        except (ValueError, tf.errors.OpError):
            raise ConfigError("Expected a TPU for --strategy=tpu, but found none.") from None
        return tf.distribute.TPUStrategy(resolver)
    raise ConfigError(
        "Expected --strategy to be auto, cpu, gpu, mirrored, multi_worker or tpu. Received: "
        f"{name}."
    )


def _of_workers() -> tf.distribute.Strategy:
    cluster = workers.cluster()
    if cluster is None:
        raise ConfigError(
            "Expected several processes with --strategy=multi_worker: those of `rnnapps train` "
            "with --workers N or TF_CONFIG, or of rnnapps.workers.joined() in Python. Received: "
            "one process; leave out --strategy, or use those."
        )
    try:
        strategy = MultiWorkerStrategy(cluster)
    except RuntimeError:
        raise ConfigError(
            "Expected rnnapps.training.use_cores(config) to be called before TensorFlow runs, with "
            "--strategy=multi_worker. Received: a later call."
        ) from None
    workers.agree("devices", {"replicas": strategy.local})  # else TensorFlow would wait for ever
    return strategy


@functools.cache  # a second one would take the collective keys of the first
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.MirroredStrategy:
    if any("CPU" in device for device in devices):
        return CoresStrategy(devices)
    return tf.distribute.MirroredStrategy(list(devices))


def _devices(kind: str) -> list:
    return tf.config.list_physical_devices(kind)
