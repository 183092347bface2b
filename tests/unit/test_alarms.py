"""Alarms keep the rate that they promise, and find what is put in."""

import numpy as np
import pytest

from rnnapps.probabilistic import APART, DEPTH, fit_alarms, raised


def errors(count, seed):
    """One-step errors of two targets that hang together, and lean on the step before."""
    noise = np.random.default_rng(seed).standard_normal((count + 1, 2))
    noise[:, 1] = noise[:, 0] + 0.3 * noise[:, 1]
    return 5 * (noise[1:] - 0.4 * noise[:-1])


def surprise(alarms, one):
    return alarms(one[None], np.ones_like(one)[None]).numpy()[0]


@pytest.fixture(scope="module")
def alarms():
    held = errors(4000, 1)
    return fit_alarms([held], [np.ones_like(held)])


def test_fresh_errors_raise_alarms_as_rarely_as_the_score_says(alarms):
    score = surprise(alarms, errors(20_000, 2))
    for per_1000 in (10, 3, 1):
        count = raised(score[None], 3 - np.log10(per_1000)).numpy().sum(axis=(0, 1)) / 20
        assert (count > 0.1 * per_1000).all() and (count < 2 * per_1000).all()
    assert alarms.steps == 4000


def test_held_out_faults_do_not_make_alarms_deaf():
    held = errors(4000, 1)
    off = held.copy()
    off[1000:1020] += 200
    calm, bold = (fit_alarms([one], [np.ones_like(one)]) for one in (held, off))
    fresh = errors(300, 4)
    fresh[250, 1] += 25
    assert surprise(calm, fresh)[250, 1] > 3
    assert surprise(bold, fresh)[250:252, 1].max() > 3


def test_an_alarm_is_raised_once():
    score = np.random.default_rng(3).normal(size=(2, 400, 2))
    score[0, 7, 0] = np.nan
    own = raised(score, 2.0).numpy()
    for batch, target in np.ndindex(2, 2):
        last = -np.inf
        for step, one in enumerate(score[batch, :, target] >= 2):
            assert own[batch, step, target] == (one and step - last > APART)
            last = step if one else last


def test_what_is_left_is_what_the_map_does_not_say(alarms):
    one = errors(40, 3)
    scaled = one / alarms.scale
    for step, target in ((39, 0), (20, 1), (0, 1)):
        said = sum(
            scaled[step - lag] @ alarms.linear[lag][:, target]
            for lag in range(len(alarms.linear))
            if step >= lag
        )
        left = alarms.left(one[None], np.ones_like(one)[None]).numpy()[0, step, target]
        np.testing.assert_allclose(left, scaled[step, target] - said, rtol=1e-4, atol=1e-5)
        assert alarms.linear[0][target, target] == 0  # no error speaks for itself


def test_what_breaks_the_bond_of_two_targets_is_found_and_nothing_before_it(alarms):
    one = errors(300, 4)
    off = one.copy()
    off[250, 1] += 12  # half of what that target often errs by, but the other does not
    before, after = surprise(alarms, one), surprise(alarms, off)
    assert after[250, 1] > 3 > before[250, 1]
    np.testing.assert_allclose(after[:250], before[:250])


def test_a_shift_that_the_forecasts_follow_slowly_is_found_where_no_step_is_odd():
    held = np.random.default_rng(5).standard_normal((4000, 1))
    response = np.full((24, 1, 1), 0.8)
    response[0] = 1
    alarms = fit_alarms([held], [np.ones_like(held)], response)
    found = 0
    for seed in range(20):
        one = np.random.default_rng(100 + seed).standard_normal((200, 1))
        one[150:] += 1.5 * 0.8
        found += (surprise(alarms, one)[150:174] >= 3).any()
    assert found >= 16


def test_a_score_depends_on_the_steps_before_it_and_on_no_more_of_them_than_it_says(alarms):
    one = errors(400, 6)
    score = surprise(alarms, one)[-1]
    np.testing.assert_allclose(surprise(alarms, one[-1 - DEPTH :])[-1], score, rtol=1e-5)


def test_missing_errors_have_no_score_and_spoil_no_other(alarms):
    one = errors(100, 7)
    whole = surprise(alarms, one)
    one[50, 0] = np.nan
    lacking = surprise(alarms, one)
    assert np.isnan(lacking).sum() == 1 and np.isnan(lacking[50, 0])
    np.testing.assert_array_equal(lacking[:50], whole[:50])


def test_beyond_all_held_out_scores_the_surprise_goes_on_growing(alarms):
    score = []
    for size in (30, 60, 120):
        one = errors(200, 8)
        one[150, 0] += size
        score.append(surprise(alarms, one)[150, 0])
    assert 3 < score[0] < score[1] < score[2]


def test_a_wide_forecast_excuses_an_error():
    spread = np.exp(np.random.default_rng(9).normal(size=(3000, 1)))
    held = spread * np.random.default_rng(10).standard_normal((3000, 1))
    alarms = fit_alarms([held], [spread])
    assert alarms.power[0] == 1
    one = np.random.default_rng(11).standard_normal((1, 100, 1))
    one[0, 99] = 8
    calm, wide = np.ones_like(one), np.ones_like(one)
    wide[0, 99] = 8
    assert alarms(one, calm)[0, 99, 0] > 3 > alarms(one, wide)[0, 99, 0]
