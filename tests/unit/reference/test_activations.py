import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnapps.reference import sigmoid, softmax


def test_sigmoid_where_its_values_are_known():
    np.testing.assert_allclose(
        sigmoid(np.array([-1000.0, -np.log(3.0), 0.0, np.log(3.0), 1000.0])),
        [0.0, 0.25, 0.5, 0.75, 1.0],
        rtol=1e-15,
    )


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=6), st.data())
def test_softmax_is_a_distribution_over_what_the_mask_keeps(scores, data):
    mask = data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    weights = softmax(np.array(scores), mask)
    assert np.all(weights >= 0)
    assert np.all(weights[np.logical_not(mask)] == 0)
    np.testing.assert_allclose(weights.sum(), float(any(mask)), rtol=1e-14)


def test_softmax_of_logarithms_is_the_shares():
    np.testing.assert_allclose(softmax(np.log([[1.0, 2.0, 5.0]])), [[0.125, 0.25, 0.625]])
