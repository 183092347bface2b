"""The reference against all paths, one by one, and against central differences."""

import itertools

import numpy as np
import pytest

from rnnapps.reference import CRF

from .central_differences import assert_is_gradient

MASKS = {
    "none": None,
    "left_padded": [[0, 0, 1, 1], [0, 1, 1, 1], [1, 1, 1, 1]],
    "gaps": [[1, 0, 0, 1], [0, 1, 0, 1], [1, 1, 1, 0]],
    "empty_row": [[0, 0, 0, 0], [1, 1, 0, 1], [0, 0, 1, 0]],
}
each_mask = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)


@pytest.fixture
def crf():
    rng, crf = np.random.default_rng(0), CRF(3)
    crf.set_params(**{k: rng.normal(size=w.shape) for k, w in crf.params.items()})
    return crf


def score_of(crf, s, path):
    A, b, e = crf.params.values()
    score = b[path[0]] + e[path[-1]] + sum(s[t, tag] for t, tag in enumerate(path))
    return score + sum(A[i, j] for i, j in itertools.pairwise(path))


@each_mask
def test_probabilities_and_best_paths_are_those_of_all_paths(crf, mask):
    rng = np.random.default_rng(1)
    s, tags = rng.normal(size=(3, 4, 3)), rng.integers(0, 3, (3, 4))
    log_p, _ = crf.forward(s, tags, mask)
    best, scores = crf.decode(s, mask)
    for n, seen in enumerate(np.ones((3, 4), bool) if mask is None else np.array(mask, bool)):
        assert not best[n, ~seen].any()
        if not seen.any():
            assert log_p[n] == scores[n] == 0
            continue
        paths = list(itertools.product(range(3), repeat=seen.sum()))
        of_paths = np.array([score_of(crf, s[n, seen], path) for path in paths])
        mine = score_of(crf, s[n, seen], tags[n, seen])
        np.testing.assert_allclose(log_p[n], mine - np.log(np.exp(of_paths).sum()))
        assert tuple(best[n, seen]) == paths[of_paths.argmax()]
        np.testing.assert_allclose(scores[n], of_paths.max())


@each_mask
def test_gradients_are_central_differences(crf, mask):
    rng = np.random.default_rng(2)
    s, d_log_p = rng.normal(size=(3, 4, 3)), rng.normal(size=3)
    tags = rng.integers(0, 3, (3, 4))
    _, cache = crf.forward(s, tags, mask)
    gradients = crf.backward(d_log_p, cache)

    def loss():
        return np.vdot(crf.forward(s, tags, mask)[0], d_log_p)

    assert_is_gradient(gradients.inputs, loss, s)
    assert list(gradients.params) == list(crf.params)
    for name, weight in crf.params.items():
        assert_is_gradient(gradients.params[name], loss, weight)
