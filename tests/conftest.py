"""What all tests share. TensorFlow starts with two logical CPUs, for strategies to spread over."""

import gc
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# A worker for each core: more threads would only wait for each other. Child processes inherit it.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import keras
import pytest
import tensorflow as tf

from rnnapps import SentimentClassifier

_CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(_CPU, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(scope="module", autouse=True)
def cleared():
    """Graphs of one module's models are freed before the next, whose worker would grow and grow."""
    yield
    keras.utils.clear_session()
    gc.collect()


@pytest.fixture(scope="session")
def test_data() -> pathlib.Path:
    """The folder of real data sets; a test that asks for it is skipped where there is none."""
    folder = os.environ.get("RNNAPPS_TEST_DATA")
    if not folder:
        pytest.skip("RNNAPPS_TEST_DATA is not set")
    return pathlib.Path(folder)


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory) -> pathlib.Path:
    """A run of the sentiment classifier on the embedded sample, trained once for all tests."""
    run_dir = tmp_path_factory.mktemp("runs") / "sample"
    app = SentimentClassifier(
        epochs=5, units=64, embedding_dim=64, learning_rate=3e-3, word_dropout=0.0
    )
    app.fit(run_dir=run_dir)
    return run_dir
