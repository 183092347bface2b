import keras
import numpy as np
import pytest

from rnnapps.training.gradients import GradientNorms
from rnnapps.training.optimizer import Observed


class ObservedSGD(Observed, keras.optimizers.SGD):
    pass


@pytest.mark.parametrize("jit", [False, True])
def test_norms_are_those_of_the_gradients_by_hand(jit):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 3)), rng.normal(size=(12, 1))
    dense = keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.5))
    model = keras.Sequential([keras.Input((3,)), dense])
    model.compile(ObservedSGD(0.0, global_clipnorm=2.0), "mse", jit_compile=jit)
    kernel, bias = model.get_weights()
    history = model.fit(
        x, y, batch_size=4, epochs=2, shuffle=False, verbose=0, callbacks=[GradientNorms()]
    )
    norms = []
    for i in range(0, 12, 4):
        error = 2 * (x[i : i + 4] @ kernel + bias - y[i : i + 4]) / 4  # dL/d prediction, (4, 1)
        gradients = np.append(x[i : i + 4].T @ error, error.sum())
        norms.append(np.sqrt((gradients**2).sum()))
    for epoch in range(2):
        found = {name: values[epoch] for name, values in history.history.items()}
        assert found["gradient_norm"] == pytest.approx(np.mean(norms), rel=1e-4)
        assert found["gradient_norm_max"] == pytest.approx(max(norms), rel=1e-4)
        assert found["gradients_clipped"] == pytest.approx(np.mean(np.array(norms) > 2.0))
    assert 0 < np.mean(np.array(norms) > 2.0) < 1
    assert model.optimizer.observe is None


def test_an_optimizer_that_shows_no_gradients_is_refused():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match="Expected an Observed optimizer"):
        model.fit(np.ones((2, 3)), np.ones((2, 1)), verbose=0, callbacks=[GradientNorms()])
