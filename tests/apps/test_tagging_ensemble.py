"""Taggers of several networks, whose scores are averaged."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from eager import eagerly

import rnnapps
from rnnapps import Tagger, TaggingConfig
from rnnapps.apps.tagging.data import tag_names
from rnnapps.apps.tagging.model import build_network
from rnnapps.apps.tagging.pipeline import build_tagger, networks_of
from rnnapps.data import Tagged, make_names
from rnnapps.reference.crf import CRF
from rnnapps.text import OffsetTokenizer, TokenEncoder

TINY = {
    "cell": "simple_rnn", "bidirectional": False, "units": 4, "embedding_dim": 5,
    "character_units": 0, "affix_dim": 2, "epochs": 1, "batch_size": 32,
}  # fmt: skip
TOKENS, TAGS = make_names(40)
NAMES = tag_names(Tagged(TOKENS, TAGS))
TEXTS = ["We met Jordan Baker near the old mill .", "Florence", ""]


def untrained(count=3, **settings):
    """A tagger of networks with random weights, and these."""
    app = Tagger(**TINY, ensemble=count, **settings)
    encoder = TokenEncoder(max_characters=0, affix_buckets=2**17, name="encoder")
    encoder.adapt(token for row in TOKENS for token in row)
    size = encoder.words.vocabulary_size
    rng, networks = np.random.default_rng(0), []
    for seed in range(count):
        keras.utils.set_random_seed(seed)
        network = build_network(app.config, size, 0, NAMES, True, np.ones(size))
        if app.config.output == "crf":
            crf = network.get_layer("crf")
            crf.set_weights([rng.normal(size=w.shape) for w in crf.get_weights()])
        networks.append(network)
    app.model = build_tagger(OffsetTokenizer("word", name="tokenizer"), encoder, networks, NAMES)
    return app, networks


@pytest.mark.parametrize("output", ["crf", "softmax"])
def test_several_networks_answer_with_the_mean_of_their_scores(output):
    app, networks = untrained(output=output)
    inputs = app.model.get_layer("encoder")(app.model.get_layer("tokenizer")(tf.constant(TEXTS))[0])
    there = inputs[0].numpy() != 0
    mean = np.mean([one(inputs)["scores"].numpy() for one in networks], axis=0, dtype="float64")
    chain = CRF(len(NAMES))
    crfs = [one.get_layer("crf") for one in networks]
    for name in chain.params:
        chain.params[name] = np.mean([getattr(crf, name) for crf in crfs], 0, "float64")
    if output == "crf":  # what may not follow is no more likely for being averaged
        allowed = crfs[0].allowed
        limits = allowed[:-1, :-1], allowed[-1, :-1], allowed[:-1, -1]
        for (name, value), may in zip(chain.params.items(), limits, strict=True):
            chain.params[name] = np.where(may, value, -1e4)
    found = app.network(inputs)
    np.testing.assert_allclose(found["scores"].numpy()[there], mean[there], atol=1e-6)
    np.testing.assert_array_equal(found["tags"], chain.decode(mean, there)[0])
    marginals = chain.forward(mean, np.zeros(there.shape, int), there)[1].marginals
    np.testing.assert_allclose(found["marginals"], marginals, atol=1e-5)


@pytest.mark.system
def test_several_networks_are_saved_and_exported_as_one(tmp_path):
    app, _ = untrained(count=2)
    app.model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    answers = app.predict(TEXTS)
    version = tf.saved_model.load(str(app.export(tmp_path / "export")))
    assert set(version.signatures) == {"serving_default", "tag"}
    texts = tf.constant(TEXTS)
    for found in (loaded(texts), version.signatures["serving_default"](text=texts)):
        for row, own in enumerate(answers):
            size = found["lengths"].numpy()[row]
            assert [tag.decode() for tag in found["tags"].numpy()[row, :size]] == own["tags"]
            probabilities = found["probabilities"].numpy()[row, :size]
            np.testing.assert_allclose(probabilities, own["probabilities"], atol=1e-5)
    assert app.encoder(texts).shape == (3, 9, 4)  # the first network's states


@pytest.mark.system
@eagerly()
def test_each_network_goes_on_from_its_own(tmp_path):
    app = Tagger(**TINY, ensemble=2, pretrain_epochs=1, freeze=True)
    app.fit((TOKENS, TAGS), run_dir=tmp_path / "run")
    loaded = rnnapps.load(tmp_path / "run")
    assert loaded.predict(TEXTS) == app.predict(TEXTS)
    one, two = loaded.networks
    for name in ("embedding", "recurrent"):  # frozen: what the one language model has learned
        mine, theirs = (network.get_layer(name).get_weights() for network in (one, two))
        assert all((a == b).all() for a, b in zip(mine, theirs, strict=True))
    assert np.abs(one.get_layer("logits").kernel - two.get_layer("logits").kernel).max() > 1e-3
    settings = {"ensemble": 3, "learning_rate": 1e-12, "epochs": 1}
    other = Tagger(**settings, init_from=str(tmp_path / "run")).fit((TOKENS, TAGS))
    for mine, theirs in zip(other.networks, [one, two, one], strict=True):
        for a, b in zip(mine.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
    found = app.update(make_names(30, seed=5), tolerance=0.99)
    assert found["updated"] and len(app.networks) == 2


@pytest.mark.system
@eagerly()
def test_a_training_goes_on_with_the_network_at_which_it_was_killed(tmp_path):
    epochs = []

    def interrupt(epoch, logs):
        epochs.append(epoch)
        if len(epochs) == 4:  # the second network's second epoch
            raise KeyboardInterrupt

    config = TaggingConfig(**{**TINY, "epochs": 2}, ensemble=2)
    whole = Tagger(config).fit((TOKENS, TAGS))
    killer = keras.callbacks.LambdaCallback(on_epoch_begin=interrupt)
    with pytest.raises(KeyboardInterrupt):
        Tagger(config).fit((TOKENS, TAGS), run_dir=tmp_path / "run", callbacks=[killer])
    again = Tagger(config).fit((TOKENS, TAGS), run_dir=tmp_path / "run", callbacks=[killer])
    assert epochs == [0, 1, 0, 1, 1]
    for mine, theirs in zip(again.networks, networks_of(whole.network), strict=True):
        for a, b in zip(mine.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
