import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from eager import eagerly

from rnnapps import Translator
from rnnapps.data import make_dates

TEXTS = ["le 3 mars 2021", "", "二〇二一年三月三日", "the 1st of May 1999 " * 30, "😀 <br /> x"]
SIGNATURES = {
    "serving_default": {"translation": ("string", [None]), "score": ("float32", [None])},
    "n_best": {"translations": ("string", [None, 3]), "scores": ("float32", [None, 3])},
    "score": {"log_probability": ("float32", [None])},
    "align": {
        "source_tokens": ("string", [None, None]),
        "target_tokens": ("string", [None, None]),
        "alignment": ("float32", [None, None, None]),
    },
}


@pytest.fixture(scope="module")
def app():
    settings = {"units": 8, "embedding_dim": 8, "epochs": 2, "max_tokens": 200, "beam_width": 3}
    with eagerly():
        return Translator(**settings).fit(make_dates(300))


@pytest.fixture(scope="module")
def version(app, tmp_path_factory):
    return app.export(tmp_path_factory.mktemp("saved") / "dates")


def test_four_signatures_answer_where_rnnapps_is_not(app, version):
    """In a process of its own that imports TensorFlow and, for its op, TF Text."""
    script = (
        "import sys, json, tensorflow as tf, tensorflow_text\n"
        "texts = tf.constant(json.loads(sys.argv[2]))\n"
        "signatures = tf.saved_model.load(sys.argv[1]).signatures\n"
        "answers = {}\n"
        "for name, function in signatures.items():\n"
        "    more = {'translation': texts} if name == 'score' else {}\n"
        "    answers[name] = {k: v.numpy() for k, v in function(text=texts, **more).items()}\n"
        "assert 'rnnapps' not in sys.modules\n"
        "def plain(x):\n"
        "    return x.decode() if isinstance(x, bytes) else [plain(y) for y in x] "
        "if isinstance(x, list) else x\n"
        "print(json.dumps({n: {k: plain(v.tolist()) for k, v in a.items()} "
        "for n, a in answers.items()}))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(version), json.dumps(TEXTS)],
        capture_output=True, text=True, cwd=version,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    received, best = json.loads(run.stdout), app.predict(TEXTS, n_best=3)
    assert set(received) == set(SIGNATURES)
    assert received["serving_default"]["translation"] == [one["translation"] for one in best]
    np.testing.assert_allclose(
        received["serving_default"]["score"], [one["score"] for one in best], rtol=1e-4
    )
    for i, one in enumerate(best):
        n = len(one["n_best"])  # the empty text has one translation only
        expected = [b["translation"] for b in one["n_best"]]
        assert received["n_best"]["translations"][i][:n] == expected
        assert received["n_best"]["scores"][i][n:] == [-1e9] * (3 - n)
    np.testing.assert_allclose(
        received["score"]["log_probability"], app.score(TEXTS, TEXTS), rtol=1e-4
    )
    most = len(received["align"]["source_tokens"][0])
    for i, one in enumerate(app.align(TEXTS)):
        tokens = [token for token in received["align"]["target_tokens"][i] if token]
        assert tokens == one["target_tokens"]
        weights = np.reshape(received["align"]["alignment"][i], (-1, most))[: len(tokens)]
        width = len(one["source_tokens"])
        expected = np.reshape(one["alignment"], (len(tokens), width))
        np.testing.assert_allclose(weights[:, :width], expected, atol=1e-5)


def test_outputs_have_names_and_types_and_take_any_bytes(version):
    signatures = tf.saved_model.load(str(version)).signatures
    for name, outputs in SIGNATURES.items():
        found = signatures[name].structured_outputs
        assert {k: v.dtype.name for k, v in found.items()} == {k: v[0] for k, v in outputs.items()}
        for key, (_, shape) in outputs.items():
            assert found[key].shape.rank in (None, len(shape))
    answer = signatures["serving_default"](text=tf.constant([b"\xff\xfe\x00 \xc3\x28", b""]))
    assert np.isfinite(answer["score"].numpy()).all()
    none = signatures["serving_default"](text=tf.constant([], tf.string))
    assert none["translation"].shape == (0,)


@pytest.mark.system
def test_a_transformer_s_export_answers_as_it_does(tmp_path):
    settings = {"units": 8, "heads": 2, "embedding_dim": 8, "epochs": 1, "max_tokens": 200}
    with eagerly():
        app = Translator(**settings, cell="transformer", beam_width=3).fit(make_dates(100))
    signatures = tf.saved_model.load(str(app.export(tmp_path / "dates"))).signatures
    assert set(signatures) == set(SIGNATURES)
    answer, expected = signatures["serving_default"](text=tf.constant(TEXTS)), app.predict(TEXTS)
    found = [text.decode() for text in answer["translation"].numpy()]
    assert found == [one["translation"] for one in expected]
    scores = [one["score"] for one in expected]
    np.testing.assert_allclose(answer["score"], scores, rtol=1e-4)
