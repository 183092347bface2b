"""What all tests share. TensorFlow starts with two logical CPUs, for strategies to spread over."""

import contextlib
import copy
import ctypes
import gc
import os
import pathlib
import shutil

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# A worker for each core: more threads would only wait for each other. Child processes inherit it.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from rnnapps import config
from rnnapps.files import locked


def pytest_configure(config):
    """Sets TensorFlow up in each process that tests; the one that hands tests out has no use of it.

    Each of many small graphs is run once or twice: TensorFlow takes longer to optimize it than to
    run it. tests/apps/exports/test_agreement.py, and processes that tests start, have them
    optimized.
    """
    if config.getoption("numprocesses", None):
        return
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    gc.set_threshold(20_000, 10, 10)  # a graph is many objects, none of which is garbage so soon


def pytest_collection_modifyitems(items):
    """What lies in tests/system is of the system tier; elsewhere a test says so by the marker.

    tests/system goes first and the units last: the longest files do not keep one worker waiting.
    """
    system = pathlib.Path(__file__).parent / "system"
    for item in items:
        if item.path.is_relative_to(system):
            item.add_marker("system")
    items.sort(key=lambda item: not item.path.is_relative_to(system))
    gc.freeze()  # what has been imported stays, and need not be looked through each time


@pytest.fixture(scope="module", autouse=True)
def freed():
    """Frees a module's graphs behind it, which a worker would hold to its end.

    TensorFlow registers each `tf.custom_gradient` that is traced under a name of its own, and with
    it the graph, for ever. rnnapps' own go with their graphs; what is left is of Keras' optimizers,
    which add up replicas' gradients in one. No graph of one module is derived in another.
    """
    yield
    from tensorflow.python.eager import context
    from tensorflow.python.eager.polymorphic_function.atomic_function import RUNTIME_FUNCTION_REFS
    from tensorflow.python.framework.ops import gradient_registry

    for name in [one for one in gradient_registry._registry if one.startswith("CustomGradient-")]:
        del gradient_registry._registry[name]
    if RUNTIME_FUNCTION_REFS:  # something was traced
        gc.collect()
        context.context().clear_kernel_cache()
        with contextlib.suppress(OSError, AttributeError):  # where the C library is not GNU's
            ctypes.CDLL("libc.so.6").malloc_trim(0)


@pytest.fixture(scope="module", autouse=True)
def unregistered():
    """What one module registers is unknown to the next."""
    from rnnapps.data import named
    from rnnapps.layers import registry

    registries = (config.CELLS, registry._LAYERS, named._REGISTERED)
    before = [copy.copy(one) for one in registries]
    yield
    for one, old in zip(registries, before, strict=True):
        one.clear()
        one.extend(old) if isinstance(one, list) else one.update(old)


@pytest.fixture(scope="session")
def test_data() -> pathlib.Path:
    """The folder of real data sets; a test that asks for it is skipped where there is none."""
    folder = os.environ.get("RNNAPPS_TEST_DATA")
    if not folder:
        pytest.skip("RNNAPPS_TEST_DATA is not set")
    return pathlib.Path(folder)


@pytest.fixture(scope="session")
def shared(tmp_path_factory, worker_id) -> pathlib.Path:
    """A folder of all workers."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def sample_run(shared, tmp_path_factory) -> pathlib.Path:
    """A run of the sentiment classifier on the embedded sample, trained once for all workers."""
    with locked(shared / "sample.lock"):
        if not (shared / "sample").exists():
            from rnnapps import SentimentClassifier

            app = SentimentClassifier(
                epochs=5, units=64, embedding_dim=64, learning_rate=3e-3, word_dropout=0.0
            )
            app.fit(run_dir=shared / "sample")
    return shutil.copytree(shared / "sample", tmp_path_factory.mktemp("runs") / "sample")
