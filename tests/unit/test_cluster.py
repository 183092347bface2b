"""TF_CONFIG says which processes train together, or one sentence says what is wrong with it."""

import json

import pytest

from rnnapps.cli.together import cluster_of_run
from rnnapps.errors import ConfigError
from rnnapps.workers import Cluster, cluster_here, cluster_of, without

WORKERS = ["a.example:2222", "b.example:2222"]


def config(cluster, **task):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


def test_a_worker_and_a_chief_of_its_own():
    found = cluster_of(config({"worker": WORKERS}, type="worker", index=1))
    assert found == Cluster(tuple(WORKERS), 1)
    assert not found.is_chief
    assert found.address(0) == ("a.example", 2222)
    both = {"worker": WORKERS, "chief": ["c.example:1"]}
    assert cluster_of(config(both, type="worker", index="1")).index == 2  # as annotations say it
    chief = cluster_of(config(both, type="chief", index=0))
    assert chief.is_chief
    assert chief.addresses == ("c.example:1", *WORKERS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Received: neither"),
        ("{not JSON", "Expected TF_CONFIG to be JSON"),
        ("[1]", "to have a 'cluster'"),
        ('{"cluster": {"worker": ["a:1"]}}', "to have a 'task'"),
        (config({"worker": WORKERS}, type="worker", index=2)["TF_CONFIG"], "has 2 of type worker"),
        (config({"worker": WORKERS}, type="worker", index=-1)["TF_CONFIG"], "index=-1"),
        (config({"worker": WORKERS}, type="worker")["TF_CONFIG"], "index=None"),
        (config({"worker": WORKERS}, type="chief", index=0)["TF_CONFIG"], "type='chief'"),
        (config({}, type="worker", index=0)["TF_CONFIG"], "which has none"),
        (config({"worker": ["a"]}, type="worker", index=0)["TF_CONFIG"], "Received: 'a'"),
        (config({"worker": ["a:0"]}, type="worker", index=0)["TF_CONFIG"], "Received: 'a:0'"),
        (config({"worker": "a:1,b"}, type="worker", index=0)["TF_CONFIG"], "list of HOST:PORT"),
        (config({"worker": WORKERS, "ps": WORKERS}, type="worker", index=0)["TF_CONFIG"], "'ps'"),
    ],
)
def test_what_is_none_is_said_in_a_sentence(text, said):
    with pytest.raises(ConfigError) as found:
        cluster_of({"TF_CONFIG": text})
    assert said in str(found.value)
    assert "\n" not in str(found.value)


def test_flags_and_environment_agree(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert cluster_of_run("auto", None) is None
    assert len(set(cluster_of_run("auto", 3).addresses)) == 3
    monkeypatch.setenv(
        "TF_CONFIG", config({"worker": WORKERS}, type="worker", index=1)["TF_CONFIG"]
    )
    assert cluster_of_run("auto", None) is None
    assert cluster_of_run("multi_worker", None).index == 1
    assert cluster_of_run("auto", 2).index == 1
    for strategy, count in [("cpu", 2), ("auto", 0), ("auto", 3)]:
        with pytest.raises(ConfigError):
            cluster_of_run(strategy, count)


def test_processes_here_are_led_by_this_one():
    assert cluster_here(2).is_chief


def test_flags_are_taken_out_with_their_values():
    words = ["train", "--workers", "2", "--units=8", "--workers=3", "--json"]
    assert without(words, "--workers") == ["train", "--units=8", "--json"]
