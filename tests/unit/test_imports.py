"""Importing rnnapps leaves TensorFlow as it was."""

import subprocess
import sys

import pytest

SCRIPT = """
import importlib, pkgutil
import rnnapps
for module in pkgutil.walk_packages(rnnapps.__path__, "rnnapps."):
    if ".templates" not in module.name and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
"""


@pytest.mark.system
def test_no_module_starts_tensorflow():
    """A tensor that is made at import would: then devices could no longer be set."""
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_what_asks_a_server_needs_no_tensorflow():
    modules = "rnnapps.apps.forecasting.client, rnnapps.demo.page"
    script = f"import sys, {modules}; sys.exit('tensorflow' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
