"""Where a model trains: `tf.distribute` by name."""

import functools

import tensorflow as tf

from rnnapps.errors import ConfigError


@functools.cache  # a second MirroredStrategy would take the collective keys of the first
def make_strategy(name: str) -> tf.distribute.Strategy:
    """Makes the distribution strategy of a `--strategy` name.

    Args:
        name: `"auto"` (all GPUs if there are several, else TensorFlow's own choice), `"cpu"`,
            `"gpu"` (the first one), `"mirrored"` (all GPUs, or all logical CPUs where there is no
            GPU) or `"tpu"`.

    Returns:
        The strategy, under whose `scope()` the model is built and compiled.

    Raises:
        ConfigError: If there is no such device.
    """
    gpus = [gpu.name.removeprefix("/physical_device:") for gpu in _devices("GPU")]
    if name == "auto":
        return (
            tf.distribute.MirroredStrategy(gpus) if len(gpus) > 1 else tf.distribute.get_strategy()
        )
    if name == "cpu":
        return tf.distribute.OneDeviceStrategy("/cpu:0")
    if name == "gpu":
        if not gpus:
            raise ConfigError("Expected a GPU for --strategy=gpu, but TensorFlow sees none.")
        return tf.distribute.OneDeviceStrategy("/gpu:0")
    if name == "mirrored":
        cpus = [cpu.name for cpu in tf.config.list_logical_devices("CPU")]
        return tf.distribute.MirroredStrategy(gpus or cpus)
    if name == "tpu":
        try:
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
        except (ValueError, tf.errors.OpError):
            raise ConfigError("Expected a TPU for --strategy=tpu, but found none.") from None
        return tf.distribute.TPUStrategy(resolver)
    raise ConfigError(
        f"Expected --strategy to be auto, cpu, gpu, mirrored or tpu. Received: {name}."
    )


def _devices(kind: str) -> list:
    return tf.config.list_physical_devices(kind)
