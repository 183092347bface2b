"""Versions and devices of this machine, and what will be slow and why."""

import platform
from importlib.metadata import PackageNotFoundError, version

import tensorflow as tf

from rnnapps.cores import usable_cores

_PACKAGES = (
    "rnnapps", "tensorflow", "keras", "keras-tuner", "tensorflow-text", "tensorflow-datasets",
    "numpy", "scikit-learn",
)  # fmt: skip


def examine() -> dict[str, str | list[str]]:
    """Looks at versions, devices, cuDNN and XLA.

    Returns:
        What is to be said of each subject.
    """
    gpus = tf.config.list_physical_devices("GPU")
    cores = usable_cores()
    return {
        "python": f"{platform.python_version()} on {platform.platform()}",
        **{package: _version(package) for package in _PACKAGES},
        "CPU": f"{cores} cores",
        "GPU": ", ".join(_gpu(gpu) for gpu in gpus) or "none seen",
        "CUDA and cuDNN": _cuda(),
        "XLA": _xla(),
        "slow": _advice(gpus, cores),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _gpu(gpu: tf.config.PhysicalDevice) -> str:
    details = tf.config.experimental.get_device_details(gpu)
    return f"{gpu.name} ({details.get('device_name', 'unknown')})"


def _cuda() -> str:
    build = tf.sysconfig.get_build_info()
    if not tf.test.is_built_with_cuda():
        return "this TensorFlow is built without CUDA"
    return f"built for CUDA {build.get('cuda_version')}, cuDNN {build.get('cudnn_version')}"


def _xla() -> str:
    double = tf.function(lambda x: x + x, jit_compile=True)
    try:
        return "compiles" if float(double(tf.constant(1.0))) == 2.0 else "answers wrongly"
    except tf.errors.OpError as error:
        return f"does not compile: {error.message}"


def _advice(gpus: list, cores: int) -> list[str]:
    advice = []
    if not gpus:
        advice.append(
            "no GPU is seen: training runs on the CPU; TensorFlow's GPU support comes with "
            "`pip install tensorflow[and-cuda]` on Linux"
        )
    if cores < 4:
        advice.append(f"{cores} CPU cores: train one model at a time")
    if gpus:
        advice.append(
            "cuDNN runs gru and lstm alone, without recurrent_dropout and not in bfloat16; other "
            "cells are slower"
        )
    return advice
