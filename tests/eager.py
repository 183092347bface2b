"""Trainings and answers step by step, for tests whose subject is not the graph.

Tracing the graphs of a tiny training takes three to ten times as long as its steps one by one; with
many steps it is the other way round. The same code runs, with Python as the loop. What is compiled
is tested where one run of each application is trained, in all exports, in the steps of replicas and
in those under XLA.
"""

import contextlib

import pytest
import tensorflow as tf

from rnnapps.apps.chargen import data
from rnnapps.apps.forecasting import training


@contextlib.contextmanager
def eagerly():
    """Runs every `tf.function` as Python; also a decorator of a test, whose fixtures it leaves.

    An epoch of short data is one pass over it, not the many steps that a training wants.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_STEPS", 1)
        patch.setattr(data, "_STEPS", 1)
        tf.config.run_functions_eagerly(True)
        try:
            yield
        finally:
            tf.config.run_functions_eagerly(False)
