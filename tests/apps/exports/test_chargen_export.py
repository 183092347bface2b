"""The five signatures of a character generator, in processes that know nothing of rnnapps."""

import contextlib
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from rnnapps import CharGenerator
from rnnapps.apps.chargen.answers import token_nats

TEXT = "the cat sat on the mat, 猫坐在垫子上。 été — and the dog lay on the log.\n" * 40
PROMPTS = ["the c", "", "猫坐在 strange: ж", "log.\n"]
SETTINGS = {"units": 12, "embedding_dim": 8, "epochs": 4, "window": 16, "learning_rate": 2e-2}
# Calls signatures as `[name, inputs]`, one after the other; "step" goes on from "start".
SCRIPT = """
import sys, json, numpy as np, tensorflow as tf
signatures = tf.saved_model.load(sys.argv[1]).signatures
answers = []
for name, inputs in json.loads(sys.argv[2]):
    known = signatures[name].structured_input_signature[1]
    answer = signatures[name](**{k: tf.constant(v, known[k].dtype) for k, v in inputs.items()})
    answers.append({k: [getattr(one, "decode", lambda: one)() for one in v.numpy().tolist()]
                    for k, v in answer.items()})
started = signatures["start"](prompt=tf.constant(json.loads(sys.argv[3])))
token, state = started.pop("token"), started
texts = [""] * len(token)
for _ in range(30):
    answer = signatures["step"](token=token, temperature=tf.fill(token.shape, 0.8),
                                seed=tf.range(len(token)), **state)
    token, text = answer.pop("token"), answer.pop("text")
    state = answer
    texts = [a + b.decode() for a, b in zip(texts, text.numpy())]
assert 'rnnapps' not in sys.modules
print(json.dumps([answers, texts]))
"""


KINDS = {
    "character": {},
    "byte": {"tokenizer": "byte"},
    "transformer": {"cell": "transformer", "heads": 2, "epochs": 1},
}
OTHERS = [pytest.param(name, marks=pytest.mark.system) for name in list(KINDS)[1:]]


@pytest.fixture(scope="module", params=["character", *OTHERS])
def app(request):
    return CharGenerator(**{**SETTINGS, **KINDS[request.param]}).fit(TEXT)


@pytest.fixture(scope="module")
def version(app, tmp_path_factory):
    return app.export(tmp_path_factory.mktemp("saved") / "chargen")


def rows(**vectors):
    return {name: np.asarray(values).tolist() for name, values in vectors.items()}


def test_the_export_answers_without_rnnapps_as_the_application_does(app, version):
    numbers = rows(length=[30, 5, 0, 40], temperature=[0.8, 0.1, 1, 2], top_k=[0, 3, 0, 5],
                   top_p=[1, 1, 1, 0.9], seed=[0, 1, 2, 3])  # fmt: skip
    calls = [
        ["serving_default", {"prompt": PROMPTS}],
        ["generate", {"prompt": PROMPTS, **numbers}],
        ["score", {"text": [*PROMPTS, TEXT[:200]]}],
    ]
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(version), json.dumps(calls), json.dumps(PROMPTS)],
        capture_output=True, text=True, cwd=version,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    (served, generated, scored), streamed = json.loads(run.stdout)
    with pytest.warns() if app.config.tokenizer == "character" else contextlib.nullcontext():
        assert served["text"] == app.predict(PROMPTS, seed=[0] * 4)
        assert generated["text"] == app.predict(PROMPTS, **numbers)
        longer = app.predict(PROMPTS, length=30, seed=[0, 1, 2, 3])
    for text, whole in zip(streamed, longer, strict=True):
        # A character whose bytes are not all written yet is held back.
        assert whole.startswith(text) and len(whole) - len(text) <= 1
        assert len(whole) == len(text) or whole.endswith("\ufffd")
    for text, bits in zip([*PROMPTS, TEXT[:200]], scored["bits_per_character"], strict=True):
        costs = token_nats(app.graph, app.tokenizer.encode([text]).flat_values.numpy())
        assert bits == pytest.approx(costs.sum() / np.log(2) / max(1, len(text)), rel=1e-4)


def test_signatures_have_names_and_stock_ops(app, version):
    signatures = tf.saved_model.load(str(version)).signatures
    count = len(app.model.layers[-1].initial_state(1))  # with the n-grams, where there are any
    count += 2 if app.config.tokenizer == "byte" else 1
    state = [f"state_{i}" for i in range(count)]
    numbers = ["length", "temperature", "top_k", "top_p", "seed"]
    expected = {
        "serving_default": (["prompt"], ["text"]),
        "generate": (["prompt", *numbers], ["text"]),
        "score": (["text"], ["bits_per_character"]),
        "start": (["prompt"], ["token", *state]),
        "step": (["token", "temperature", "seed", *state], ["token", "text", *state]),
    }
    assert {
        name: (sorted(one.structured_input_signature[1]), sorted(one.structured_outputs))
        for name, one in signatures.items()
    } == {name: (sorted(given), sorted(answer)) for name, (given, answer) in expected.items()}
    for one in signatures.values():
        specs = [*one.structured_input_signature[1].values(), *one.structured_outputs.values()]
        assert all(spec.shape[0] is None for spec in specs)
    with pytest.raises(tf.errors.InvalidArgumentError, match="temperature to be a positive"):
        signatures["generate"](
            prompt=tf.constant(["a"]), length=tf.constant([3]), temperature=tf.constant([0.0]),
            top_k=tf.constant([0]), top_p=tf.constant([1.0]), seed=tf.constant([0]),
        )  # fmt: skip
    empty = signatures["serving_default"](prompt=tf.constant([], tf.string))["text"]
    assert empty.shape == (0,)
    odd = tf.constant([b"\xff\xfe\x00 \xc3", b"x"])
    assert signatures["serving_default"](prompt=odd)["text"].numpy()[0].decode()
