import numpy as np
import pytest

from rnnapps.probabilistic.conformal import RATE, AdaptiveConformal

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
NORMAL = np.array([-1.96, -1.2816, -0.6745, 0, 0.6745, 1.2816, 1.96])


def followed(truth, stride, levels=LEVELS, normal=NORMAL):
    """The intervals of a standard normal forecast of `truth (origins, horizon, targets)`."""
    tracker = AdaptiveConformal(levels, stride)
    point = np.zeros(truth.shape[1:])
    quantiles = np.broadcast_to(normal, (*point.shape, len(levels)))
    return np.stack([tracker.next(one, point, quantiles) for one in truth])


def windows(series, horizon, stride):
    starts = range(0, len(series) - horizon + 1, stride)
    return np.stack([series[i : i + horizon] for i in starts])[..., None]


@pytest.mark.parametrize("stride", [1, 3, 6, 10])
def test_a_series_that_calms_down_is_covered_as_it_should_be(stride):
    rng = np.random.default_rng(0)
    spread = np.where(np.arange(9000 * stride) < 3000 * stride, 1.0, 0.5)
    truth = windows(rng.normal(0, spread), 6, stride)
    found = followed(truth, stride)
    late = slice(4500, None)  # a while after the change
    assert np.all(np.diff(found, axis=-1) >= 0)
    for pair, level in enumerate(LEVELS[:3]):
        low, high = found[late, ..., pair], found[late, ..., -1 - pair]
        inside = np.mean((low <= truth[late]) & (truth[late] <= high))
        assert inside == pytest.approx(1 - 2 * level, abs=0.01)
    static = np.mean(np.abs(truth[late]) <= NORMAL[5])
    assert static > 0.98  # what would have been called 80 %


@pytest.mark.parametrize("stride", [1, 2, 4, 7])
def test_an_origin_sees_exactly_what_lies_before_it(stride):
    """Beside a loop over time, which learns of each value when it comes true."""
    rng = np.random.default_rng(1)
    horizon, levels, normal = 5, (0.1, 0.9), np.array([-1.2816, 1.2816])
    truth = windows(rng.normal(0, 1.5, 60), horizon, stride)
    truth[3, 2] = np.nan
    found = followed(truth, stride, levels, normal)
    factors, made = np.ones(horizon), []
    for origin in range(len(truth)):
        now = origin * stride
        for before in range(origin):
            for step in range(horizon):
                came = before * stride + step
                value = truth[before, step, 0]
                if now - stride <= came < now and not np.isnan(value):
                    missed = abs(value) > made[before][step]
                    factors[step] = factors[step] + RATE * (missed - 0.2)
        made.append(np.maximum(factors, 0) * 1.2816)
    np.testing.assert_allclose(found[..., 0, 1], made, rtol=1e-6)


def test_nothing_goes_below_a_bound():
    follower = AdaptiveConformal((0.1, 0.9), 1, lower=(0.0,))
    point, quantiles = np.full((1, 1), 0.5), np.array([[[0.1, 2.0]]])
    made = [follower.next(np.full((1, 1), 9.0), point, quantiles) for _ in range(200)]
    assert made[-1][0, 0, 1] > 5  # ever wider, as every value lies outside
    assert min(one.min() for one in made) == 0
