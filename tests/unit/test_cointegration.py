"""Cointegrated targets keep the rate that they promise, and find what leaves the others."""

import numpy as np
import pytest

from rnnapps.probabilistic import DEPTH, fit_alarms, fit_cointegration, raised


def walks(count, seed):
    """A total and its two parts, which walk, up to noise; and a walk of its own."""
    rng = np.random.default_rng(seed)
    steps = np.cumsum(rng.standard_normal((count, 3)), axis=0)
    total = steps[:, 0] + steps[:, 1] + 0.3 * rng.standard_normal(count)
    return np.column_stack([total, steps])


SCALE = np.ones(4)  # of the errors of a forecast that says the last value


@pytest.fixture(scope="module")
def cointegration():
    values = walks(6000, 1)
    values[3000:3400, 0] += 30  # the map is not learned from what is off
    return fit_cointegration(values, SCALE)


def test_the_map_is_that_of_the_targets_that_move_together(cointegration):
    np.testing.assert_array_equal(cointegration.members, [True, True, True, False])
    np.testing.assert_allclose(cointegration.weights[:, 0], [0, 1, 1, 0], atol=0.02)
    np.testing.assert_allclose(cointegration.weights[:, 1], [1, 0, -1, 0], atol=0.02)
    assert np.isneginf(cointegration(walks(300, 2)[None]).numpy()[0, :, 3]).all()


def test_targets_of_their_own_have_no_bonds_and_few_steps_tell_of_none():
    alone = np.cumsum(np.random.default_rng(3).standard_normal((3000, 2)), axis=0)
    assert fit_cointegration(alone, np.ones(2)) is None
    assert fit_cointegration(alone[:, :1], np.ones(1)) is None
    assert fit_cointegration(walks(999, 1), SCALE) is None


def test_scores_are_distances_from_those_before_step_by_step(cointegration):
    values = walks(260, 4)
    left = values - values @ cointegration.weights
    expected = np.zeros((4, 260, 4))
    for target in range(4):
        distance = np.zeros(260)
        for step in range(192, 260):
            before = np.sort(left[step - 192 : step - 24, target])
            width = 0.5 * cointegration.typical[target] + 0.25 * (before[126] - before[42])
            distance[step] = (left[step, target] - before[84]) / width
        expected[0, :, target] = abs(distance)
        for kind, steps in enumerate((4, 8, 24), start=1):
            for step in range(steps - 1, 260):
                said = np.clip(distance[step - steps + 1 : step + 1], -4, 4)
                expected[kind, step, target] = abs(said.sum()) / np.sqrt(steps)
    score = (expected / cointegration.usual[:, None]).max(0)
    held = np.flatnonzero(cointegration.members)
    np.testing.assert_allclose(
        cointegration(values[None]).numpy()[0][:, held],
        cointegration.rarity(score).numpy()[:, held],
        atol=1e-4,
    )


def test_fresh_values_raise_alarms_as_rarely_as_the_score_says(cointegration):
    score = cointegration(walks(20_000, 5)[None])
    for per_1000 in (10, 3, 1):
        count = raised(score, 3 - np.log10(per_1000)).numpy().sum(axis=(0, 1)) / 20
        assert (count[:3] < 2 * per_1000).all() and count[:3].sum() > 0.1 * per_1000
        assert count[3] == 0


def test_a_shift_that_forecasts_follow_at_once_is_found_beside_the_others(cointegration):
    """Of two errors of a forecast that says the last value: none of its own errors is odd."""
    held = np.diff(walks(4000, 6), axis=0)[:, 3:]
    alarms = fit_alarms([held], [np.ones_like(held)])
    found = np.zeros(2)
    for seed in range(20):
        values = walks(400, 50 + seed)
        values[370:394, 1] += 2
        values[370:394, 3] += 2
        errors = np.diff(values, axis=0)[:, 3:]
        own = alarms(errors[None], np.ones_like(errors)[None]).numpy()[0, 369:393]
        found += (cointegration(values[None]).numpy()[0, 370:394, 1] >= 3).any(), (own >= 3).any()
    assert found[0] >= 18 > 8 > found[1]


def test_a_score_depends_on_no_more_steps_than_alarms_do(cointegration):
    values = walks(600, 7)
    values[570:, 1] += 6
    whole, part = (cointegration(one[None]) for one in (values, values[-1 - DEPTH :]))
    np.testing.assert_allclose(part[0, -25:, :3], whole[0, -25:, :3], atol=1e-4)
    assert raised(whole, 3.0).numpy()[0, 570:, 1].any()


def test_what_is_missing_is_learned_around():
    values = walks(3000, 8)
    values[1000:1010, 0] = np.nan
    cointegration = fit_cointegration(values, SCALE)
    np.testing.assert_allclose(cointegration.weights[:, 1], [1, 0, -1, 0], atol=0.05)
