"""A watched folder: versions come and go, and no request meets half of one."""

import gc
import shutil
import threading
import time
import weakref

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from rnnapps.errors import RunError
from rnnapps.serving import Client, Server, Signature
from rnnapps.serving.export.requests import write_requests
from rnnapps.serving.server.model_manager import ModelManager
from rnnapps.serving.server.status import StatusError


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def states(manager, model):
    return {number: state.name for number, state in manager.states(model).items()}


@pytest.fixture
def manager(tmp_path, publish_constant):
    """A manager that looks when it is told to, and a function that publishes in its folder."""
    publish_constant(tmp_path / "a", 1)
    manager = ModelManager(tmp_path)
    manager.look()
    return manager


def value(manager, model="a"):
    version = manager.get(model)
    return int(version.predict("", {"text": np.array([b"x"], object)})["value"][0])


def test_the_latest_version_is_served_and_the_one_before_it_freed(
    manager, tmp_path, publish_constant
):
    first = manager.get("a")
    alive = weakref.ref(first)
    publish_constant(tmp_path / "a", 2)
    manager.look()
    assert (value(manager), manager.serving) == (2, {"a": 2})
    assert states(manager, "a") == {2: "AVAILABLE", 1: "UNLOADING"}  # this test holds it
    with pytest.raises(StatusError, match=r"Specific\(a, 1\)"):
        manager.get("a", 1)
    assert first.signatures
    del first
    manager.look()
    assert alive() is None
    assert states(manager, "a") == {2: "AVAILABLE", 1: "END"}
    shutil.rmtree(tmp_path / "a" / "2")  # back to the version before
    manager.look()
    manager.look()  # what is dropped at one look is freed at the next
    assert (value(manager), states(manager, "a")[2]) == (1, "END")
    shutil.rmtree(tmp_path / "a")
    manager.look()
    with pytest.raises(StatusError, match=r"Latest\(a\)"):
        manager.get("a")
    gc.collect()


def test_a_manager_that_has_ended_loads_nothing_more(manager):
    manager.stop()
    manager.look()  # as the thread does that is in the middle of it
    assert manager.serving == {}


def test_models_come_and_other_things_are_left_alone(manager, tmp_path, publish_constant):
    (tmp_path / "models.config").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "a" / "notes").mkdir()
    (tmp_path / "a" / "12").write_text("a file")
    (tmp_path / "a" / ".draft-3").mkdir()
    (tmp_path / "a" / str(2**63)).mkdir()
    publish_constant(tmp_path / "b", 5)
    manager.look()
    assert manager.serving == {"a": 1, "b": 1}
    assert states(manager, "a") == {1: "AVAILABLE"}
    assert value(manager, "b") == 5


@pytest.mark.parametrize("damage", ["no graph", "half a graph", "no weights", "half the weights",
                                    "noise", "no asset", "half a warm-up"])  # fmt: skip
def test_a_broken_version_is_reported_and_tried_again_when_it_changes(
    manager, tmp_path, stored_version, damage
):
    whole, broken = stored_version, tmp_path / "a" / "7"
    shutil.copytree(whole, broken)
    damaged = {
        "no graph": "saved_model.pb",
        "half a graph": "saved_model.pb",
        "noise": "saved_model.pb",
        "no weights": "variables",
        "half the weights": "variables/variables.data-00000-of-00001",
        "no asset": "assets/words.txt",
        "half a warm-up": "assets.extra/tf_serving_warmup_requests",
    }[damage]
    content = b"" if damage == "no weights" else (broken / damaged).read_bytes()
    if damage == "no weights":
        shutil.rmtree(broken / damaged)
    elif damage.startswith("half"):
        (broken / damaged).write_bytes(content[: len(content) // 2])
    elif damage == "noise":
        (broken / damaged).write_bytes(bytes(range(256)) * 50)
    else:
        (broken / damaged).unlink()
    manager.look()
    assert manager.serving == {"a": 1}
    assert value(manager) == 1
    state = manager.states("a", 7)[7]
    assert (state.name, state.code.name != "OK", bool(state.message)) == ("END", True, True)
    manager.look()  # nothing changed, so nothing is tried
    assert manager.states("a", 7)[7] is state
    if damage == "no graph":
        assert (state.code.name, state.message) == (
            "NOT_FOUND",
            f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {broken}",
        )
    shutil.rmtree(broken)
    shutil.copytree(whole, broken)
    manager.look()
    assert manager.serving == {"a": 7}


@pytest.fixture(scope="module")
def stored_version(tmp_path_factory):
    """A version with all that a version can have: weights, an asset, a request to warm up with."""
    folder = tmp_path_factory.mktemp("stored")
    (folder / "words.txt").write_text("x\ny\n")
    model = tf.Module()
    model.weight = tf.Variable(tf.range(10_000))
    model.table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(folder / "words.txt"), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        default_value=7,
    )  # fmt: skip

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def answer(text):
        return {"value": tf.gather(model.weight, model.table.lookup(text))}

    tf.saved_model.save(model, str(folder / "1"), {"serving_default": answer})
    example = Signature(answer, answer.input_signature, [tf.constant(["x"])])
    write_requests(folder / "1", "a", {"serving_default": example})
    return folder / "1"


def test_a_request_to_warm_up_with_that_asks_for_classes_is_passed_over(
    manager, tmp_path, publish_constant
):
    whole = publish_constant(tmp_path / "other", 2)
    log = prediction_log_pb2.PredictionLog()
    log.classify_log.request.model_spec.name = "a"
    warm_up = whole / "assets.extra" / "tf_serving_warmup_requests"
    with tf.io.TFRecordWriter(str(warm_up)) as writer:
        writer.write(log.SerializeToString())
    whole.rename(tmp_path / "a" / "2")
    manager.look()
    assert manager.serving["a"] == 2


def test_a_version_being_copied_is_not_served(manager, tmp_path, stored_version):
    slow = tmp_path / "a" / "3"
    seen = []

    def copy():
        for path in sorted(stored_version.rglob("*")):
            target = slow / path.relative_to(stored_version)
            if path.is_dir():
                target.mkdir(parents=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            data = path.read_bytes()
            with target.open("wb") as file:
                for i in range(0, len(data), max(1, len(data) // 5)):
                    file.write(data[i : i + max(1, len(data) // 5)])
                    file.flush()
                    time.sleep(0.01)

    copying = threading.Thread(target=copy)
    copying.start()
    while copying.is_alive():
        manager.look()
        seen.append(manager.serving["a"])
    manager.look()
    assert set(seen[:-1]) <= {1}
    assert manager.serving == {"a": 3}


def test_a_version_that_is_removed_while_it_loads_does_not_stay_loading(
    manager, tmp_path, stored_version
):
    shutil.copytree(stored_version, tmp_path / "a" / "7")
    end = threading.Event()

    def grow():
        with (tmp_path / "a" / "7" / "more").open("wb", buffering=0) as file:
            while not end.wait(0.001):
                file.write(b"x")

    copying = threading.Thread(target=grow)
    copying.start()
    manager.look()
    end.set()
    copying.join()
    assert states(manager, "a") == {1: "AVAILABLE", 7: "LOADING"}
    shutil.rmtree(tmp_path / "a" / "7")
    manager.look()
    assert states(manager, "a") == {1: "AVAILABLE", 7: "END"}


def test_the_version_before_serves_until_the_next_is_loaded_though_it_is_removed(
    manager, tmp_path, publish_constant
):
    whole, arriving = publish_constant(tmp_path / "other", 2), tmp_path / "a" / "2"
    arriving.mkdir()
    shutil.copy(whole / "saved_model.pb", arriving)
    shutil.rmtree(tmp_path / "a" / "1")
    for _ in range(2):
        manager.look()
        assert (manager.serving["a"], value(manager)) == (1, 1)
    shutil.copytree(whole, arriving, dirs_exist_ok=True)
    manager.look()
    assert (manager.serving["a"], value(manager)) == (2, 2)
    shutil.rmtree(arriving)
    manager.look()
    assert "a" not in manager.serving


def test_folders_that_are_not_what_they_should_be(tmp_path, publish_constant):
    with pytest.raises(RunError, match=r"Expected a folder of models.*none, not a folder"):
        ModelManager(tmp_path / "none")
    publish_constant(tmp_path / "a", 1)
    with pytest.raises(RunError, match="one model's folder; give the folder of models"):
        ModelManager(tmp_path / "a")


def test_no_request_fails_while_versions_change(tmp_path, publish_constant):
    publish_constant(tmp_path / "a", 1)
    with Server(tmp_path, rest_port=0, grpc_port=0, seconds=0.05) as server:
        end, answers, errors = threading.Event(), {}, []

        def keep_asking(address):
            with Client(address, "a", retries=0) as client:
                last = 0
                while not end.is_set():
                    try:
                        [answer] = client.predict(["x"])
                    except Exception as error:
                        errors.append(error)
                        return
                    if answer["value"] < last:
                        errors.append((last, answer))
                    last = answer["value"]
                    answers[last] = answers.get(last, 0) + 1

        addresses = [server.rest_address, server.grpc_address] * 2
        threads = [threading.Thread(target=keep_asking, args=[address]) for address in addresses]
        for thread in threads:
            thread.start()
        for number in (2, 3, 4):
            publish_constant(tmp_path / "a", number)
            wait_for(lambda number=number: server.manager.serving == {"a": number})
            wait_for(lambda number=number: answers.get(number, 0) > 10 or errors)
        end.set()
        for thread in threads:
            thread.join()
        assert errors == []
        wait_for(
            lambda: states(server.manager, "a") == {4: "AVAILABLE", 3: "END", 2: "END", 1: "END"}
        )


def test_the_server_starts_on_an_empty_folder_and_waits(tmp_path, publish_constant):
    with Server(tmp_path, rest_port=0, grpc_port=0, seconds=0.05) as server:
        publish_constant(tmp_path / "late", 9)
        wait_for(lambda: server.manager.serving == {"late": 1})
        assert Client(server.rest_address, "late").predict(["x"])[0]["value"] == 9
