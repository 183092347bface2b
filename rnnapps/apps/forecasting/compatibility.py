"""The layers of version 0.1.0 under their former names: its models load, and predict alike.

Keras finds a layer's weights by the name of its class, so that each former name is a class.
"""

from typing import Any

import keras

from rnnapps.apps.forecasting.data import Task
from rnnapps.apps.forecasting.encoder_decoder import EncoderDecoderRNN
from rnnapps.apps.forecasting.model import SegmentRNN
from rnnapps.apps.forecasting.networks import DirectRNN
from rnnapps.data import Columns
from rnnapps.probabilistic import ConformalCalibration


class _Former:
    """A network whose one method answers, or states parameters; its `Plan` was task and config."""

    def call(self, inputs, answer=False, training=None):
        return self.answer(inputs) if answer else super().call(inputs, training=training)

    @classmethod
    def from_config(cls, config: dict[str, Any]):
        if "plan" in config:
            config = {**config}
            plan = config.pop("plan")
            config |= {"task": _task(plan), "config": _settings(plan)}
        return super().from_config(config)


def _task(plan: dict[str, Any]) -> dict[str, Any]:
    """The task of a plan, which knew how many columns there are, and not their names."""
    targets, future = plan["targets"], plan["future"]
    columns = Columns(
        targets=tuple(f"target {i}" for i in range(targets)),
        past=tuple(f"past {i}" for i in range(plan["columns"] - targets - future)),
        future=tuple(f"future {i}" for i in range(future)),
    )
    steps = {name: plan[name] for name in ("lookback", "horizon", "segment", "missing")}
    return Task(columns=columns, series=("",), season=1, **steps).to_dict()


def _settings(plan: dict[str, Any]) -> dict[str, Any]:
    names = ("cell", "units", "layers", "dropout", "independent", "normalization", "linear")
    names += ("levels", "loss", "samples", "paths")
    return {"likelihood": plan["output"], **{name: plan[name] for name in names}}


@keras.saving.register_keras_serializable("rnnapps")
class SegmentNetwork(_Former, SegmentRNN):
    """`SegmentRNN`, as it was."""


@keras.saving.register_keras_serializable("rnnapps")
class DirectNetwork(_Former, DirectRNN):
    """`DirectRNN`, as it was."""


@keras.saving.register_keras_serializable("rnnapps")
class DecoderNetwork(_Former, EncoderDecoderRNN):
    """`EncoderDecoderRNN`, as it was."""


@keras.saving.register_keras_serializable("rnnapps")
class Calibrate(ConformalCalibration):
    """`ConformalCalibration`, as it was: its margins were amounts."""

    def __init__(self, levels, relative: bool = False, **kwargs):
        super().__init__(levels, relative, **kwargs)
