import json
import os

import keras_tuner
import pytest

from rnnapps.files import locked
from rnnapps.tuning.oracles import Budget, make_oracle

KINDS = ("random", "hyperband", "bayesian")


def score(trial):
    values = trial.hyperparameters.values
    return (values["units"] - 100) ** 2 + 1000 * values["rate"]


def make(kind, folder, seed=0, budget=None, trials=8):
    folder.mkdir(exist_ok=True)
    objective = keras_tuner.Objective("val_loss", "min")
    budget = Budget(budget, folder / "seconds")
    oracle = make_oracle(kind, objective, trials, 9, seed, budget)
    hp = keras_tuner.HyperParameters()
    hp.Int("units", 1, 200, default=7)
    hp.Float("rate", 1e-4, 1.0, sampling="log", default=0.5)
    oracle.update_space(hp)
    oracle._set_project_dir(str(folder), "search")
    return oracle


def end(oracle, trial):
    oracle.update_trial(trial.trial_id, {"val_loss": score(trial)})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def run(oracle, most=99):
    """Ends up to `most` trials; the values that they had."""
    seen = []
    while len(seen) < most:
        trial = oracle.create_trial("tuner0")
        if trial.status == "STOPPED":
            break
        end(oracle, trial)
        seen.append(trial.hyperparameters.values)
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_repeats_the_trials_and_zero_is_a_seed(kind, tmp_path):
    found = [run(make(kind, tmp_path / str(i), seed)) for i, seed in enumerate((0, 0, 1))]
    assert found[0] == found[1]
    assert found[0][1:] != found[2][1:]
    assert len(found[0]) == 8


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_trial_is_the_configuration_as_it_stands(kind, tmp_path):
    first = run(make(kind, tmp_path), 1)[0]
    assert (first["units"], first["rate"]) == (7, 0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_an_oracle_that_was_killed_goes_on_as_if_it_never_had_been(kind, tmp_path):
    whole = run(make(kind, tmp_path / "whole"))
    oracle = make(kind, tmp_path / "killed")
    parts = run(oracle, 5)
    running = oracle.create_trial("tuner0")  # and is killed while it runs
    again = make(kind, tmp_path / "killed")
    again.reload()
    parts += run(again)
    assert parts == whole
    assert running.hyperparameters.values == whole[5]
    assert again.end_order == sorted(again.trials)


def test_a_kill_while_a_trial_is_entered_leaves_no_ghost(tmp_path):
    whole = run(make("random", tmp_path / "whole"))
    oracle = make("random", tmp_path / "killed")
    parts = run(oracle, 3)
    before = (tmp_path / "killed/search/oracle.json").read_text()
    oracle.create_trial("tuner0")
    (tmp_path / "killed/search/oracle.json").write_text(before)  # killed just before this changed
    again = make("random", tmp_path / "killed")
    again.reload()
    assert parts + run(again) == whole


def test_a_worker_that_outlives_the_chief_ends_its_trial_once(tmp_path):
    oracle = make("random", tmp_path)
    trial = oracle.create_trial("worker0")
    again = make("random", tmp_path)
    again.reload()
    assert again._retry_queue == [trial.trial_id]
    end(again, trial)
    assert again.create_trial("worker1").trial_id != trial.trial_id


def test_two_workers_that_end_one_trial_enter_it_once(tmp_path):
    oracle = make("random", tmp_path)
    trial = oracle.create_trial("worker0")
    again = make("random", tmp_path)
    again.reload()
    assert again.create_trial("worker1").trial_id == trial.trial_id
    for _ in range(2):
        end(again, trial)
    assert again.end_order == [trial.trial_id]
    assert again.create_trial("worker1").trial_id != trial.trial_id


def test_a_trial_whose_worker_is_gone_is_given_to_another(tmp_path):
    oracle = make("random", tmp_path, trials=2)
    lost, mine = (oracle.create_trial(f"worker{i}") for i in range(2))
    end(oracle, mine)
    assert oracle.create_trial("worker1").status == "IDLE"  # it may only just have begun
    folder = tmp_path / "search" / f"trial_{lost.trial_id}"
    with locked(folder / ".lock"):
        os.utime(folder, (0, 0))
        assert oracle.create_trial("worker1").status == "IDLE"  # it trains, in long epochs
    again = oracle.create_trial("worker1")
    assert again.trial_id == lost.trial_id
    assert oracle.create_trial("worker2").status == "IDLE"  # it has only just been given
    end(oracle, again)
    assert oracle.tuner_ids == {"worker1", "worker2"}
    assert [oracle.create_trial(f"worker{i}").status for i in (1, 2)] == ["STOPPED"] * 2
    assert not oracle.tuner_ids
    assert not oracle.ongoing_trials


def test_a_budget_that_is_spent_lets_a_trial_end_that_was_begun(tmp_path):
    trial = make("random", tmp_path).create_trial("tuner0")
    (tmp_path / "seconds").write_text("1000.0")
    again = make("random", tmp_path, budget=1000.0)
    again.reload()
    assert run(again) == [trial.hyperparameters.values]


def test_hyperband_has_a_number_of_trials_of_its_own(tmp_path):
    oracle = make("hyperband", tmp_path, trials=None)
    epochs = [values["tuner/epochs"] for values in run(oracle)]
    assert len(epochs) > 10
    assert set(epochs) == {1, 3, 9}


def test_a_budget_that_is_spent_ends_the_search_and_counts_earlier_processes(tmp_path):
    oracle = make("random", tmp_path, budget=1000.0)
    assert len(run(oracle, 2)) == 2
    spent = json.loads((tmp_path / "seconds").read_text())
    assert 0 <= spent < 100
    (tmp_path / "seconds").write_text("1000.0")
    again = make("random", tmp_path, budget=1000.0)
    again.reload()
    assert run(again) == []
