"""TF_CONFIG says which processes train together, or one sentence says what is wrong with it."""

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from rnnapps.cli.together import cluster_of_run, local_workers
from rnnapps.errors import ConfigError
from rnnapps.workers import Cluster, WorkerLost, cluster_here, cluster_of, meeting, without
from rnnapps.workers.link import Link
from rnnapps.workers.meeting import _Group

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
        ("[" * 100_000, "Expected TF_CONFIG to be JSON"),
        ("[1]", "to have an object 'cluster'"),
        ('{"cluster": {"worker": ["a:1"]}}', "to have an object 'task'"),
        (config({"worker": WORKERS}, type="worker", index=2)["TF_CONFIG"], "has 2 of type worker"),
        (config({"worker": WORKERS}, type="worker", index=-1)["TF_CONFIG"], "index=-1"),
        (config({"worker": WORKERS}, type="worker")["TF_CONFIG"], "index=None"),
        (config({"worker": WORKERS}, type="chief", index=0)["TF_CONFIG"], "type='chief'"),
        (config({"worker": WORKERS}, type=["worker"], index=0)["TF_CONFIG"], "type=['worker']"),
        (config({"worker": ["a:1"] * 2}, type="worker", index=0)["TF_CONFIG"], "'a:1' more than"),
        (
            config({"worker": WORKERS, "chief": WORKERS[1:]}, type="chief", index=0)["TF_CONFIG"],
            "'b.example:2222' more than once",
        ),
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
    assert cluster_of_run("multi_worker", None).index == 1
    assert cluster_of_run("auto", 2).index == 1
    for strategy, count in [("cpu", 2), ("auto", 0), ("auto", 3), ("auto", None), ("gpu", None)]:
        with pytest.raises(ConfigError):
            cluster_of_run(strategy, count)
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"chief": "a:1", "worker": "b:1"}}')
    with pytest.raises(ConfigError, match="names 2 processes"):
        cluster_of_run("auto", None)
    for alone in ({"worker": WORKERS[:1]}, {}):
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": alone}))
        assert cluster_of_run("auto", None) is None


def test_processes_here_are_led_by_this_one():
    assert cluster_here(2).is_chief


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this system has no IPv6")
def test_processes_meet_at_addresses_of_ipv6():
    with contextlib.ExitStack() as stack:
        free = [socket.create_server(("::1", 0), family=socket.AF_INET6) for _ in range(2)]
        addresses = [f"[::1]:{stack.enter_context(one).getsockname()[1]}" for one in free]
    script = (
        "import sys\n"
        "from rnnapps.workers import Cluster, joined\n"
        "with joined(Cluster(tuple(sys.argv[2:]), int(sys.argv[1])), settings={'a': 1}): pass\n"
    )
    words = [[sys.executable, "-c", script, index, *addresses] for index in "01"]
    processes = [subprocess.Popen(one) for one in words]
    try:
        assert [one.wait(30) for one in processes] == [0, 0]
    finally:
        for one in processes:
            one.kill()


def test_a_stranger_who_says_nothing_keeps_no_worker_waiting():
    with contextlib.ExitStack() as stack:
        free = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        ports = [one.getsockname()[1] for one in free]
    addresses = tuple(f"127.0.0.1:{port}" for port in ports)
    chief, *others = (_Group(Cluster(addresses, index)) for index in range(3))
    meeting = threading.Thread(target=chief.meet, args=((),))
    meeting.start()
    began, strangers = time.monotonic(), []
    while not strangers:  # until the chief listens
        with contextlib.suppress(ConnectionRefusedError):
            strangers.append(socket.create_connection(("127.0.0.1", ports[0])))
    strangers.append(socket.create_connection(("127.0.0.1", ports[0])))
    strangers[1].sendall(b"GET")
    for worker in others:
        worker.meet(())
    meeting.join()
    assert time.monotonic() - began < 10
    assert sorted(chief.links) == [1, 2]
    assert strangers[0].recv(1) == b""
    groups = (chief, *others)
    for group in groups:
        group.parted = True  # an end is to be expected
    for one in (*groups, *strangers):
        one.close()


def test_a_worker_that_dies_while_others_are_missing_ends_the_chief():
    addresses = cluster_here(3).addresses
    script = (
        "import sys\n"
        "from rnnapps.workers import Cluster, joined\n"
        "with joined(Cluster(tuple(sys.argv[1:]), 0)): pass\n"
    )
    words = [sys.executable, "-c", script, *addresses]
    chief = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    worker = _Group(Cluster(addresses, 1))
    try:
        worker.meet(())
        worker.close()  # as the system does when a process is killed
        said = chief.communicate(timeout=30)[1]
    finally:
        chief.kill()
    assert f"Worker 1 ({addresses[1]}) ended" in said.splitlines()[-1]


def test_a_worker_that_cannot_start_is_named():
    chief = _Group(cluster_here(2))
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) as process:
        process.wait()
        with pytest.raises(WorkerLost, match=r"Expected worker 1 .* Received: its end, with .* 3"):
            chief.meet([process])


def test_who_does_not_connect_can_be_started_again(monkeypatch):
    monkeypatch.setattr(meeting, "_PATIENCE", 0.0)
    addresses = cluster_here(2).addresses
    with pytest.raises(WorkerLost, match=r"Expected worker 1 .* to connect to the chief") as found:
        _Group(Cluster(addresses, 0)).meet(())
    assert found.value.status == 1  # for which deploy/train.yaml starts it again
    with pytest.raises(WorkerLost, match=r"Expected the chief .* to answer within 0 s"):
        _Group(Cluster(addresses, 1)).meet(())


def test_threads_are_checked_before_processes_start():
    there = local_workers(cluster_here(2), ["train"], threads=0)
    with pytest.raises(ConfigError, match=r"threads= to be at least 1\. Received: 0"), there:
        pass


def test_ctrl_c_reaches_the_chief_alone():
    with local_workers(cluster_here(2), ["--help"], threads=1) as ((worker,), _):
        assert os.getpgid(worker.pid) == worker.pid != os.getpgid(0)


def test_a_worker_that_dies_when_all_is_done_is_no_fault_of_the_chiefs():
    with socket.create_server(("127.0.0.1", 0)) as server:
        worker = socket.create_connection(server.getsockname())
        link = Link(server.accept()[0], 1)
    group = _Group(Cluster(("a:1", "b:1"), 0))
    group.links[1] = link
    worker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    worker.close()  # with a reset, as of a machine that is gone
    group.part()
    group.close()


def test_flags_are_taken_out_with_their_values():
    words = ["train", "--workers", "2", "--units=8", "--workers=3", "--json"]
    assert without(words, "--workers") == ["train", "--units=8", "--json"]
