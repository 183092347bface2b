"""A network starts from another one's weights: the oracle is NumPy, row by row."""

import keras
import numpy as np
import pytest
from eager import eagerly
from keras import layers

from rnnapps import SentimentConfig
from rnnapps.apps.chargen.config import CharGenConfig
from rnnapps.apps.chargen.model import build_network as build_generator
from rnnapps.apps.sentiment.model import build_network, named_rows
from rnnapps.errors import ConfigError, RunError
from rnnapps.training import Checkpoint, GradualUnfreezing, Rows, compile_model, transfer
from rnnapps.training.layerwise import levels
from rnnapps.training.transfer import named_weights

SMALL = {"units": 3, "embedding_dim": 5, "dropout": 0.0, "word_dropout": 0.0}
OLD, NEW = ["", "[UNK]", "good", "bad", "film"], ["", "[UNK]", "film", "dull", "good", "night"]


def network(tokens=OLD, classes=2, **settings):
    return build_network(SentimentConfig(**{**SMALL, **settings}), len(tokens), classes)


def values(model):
    return {name: weight.numpy() for name, weight in named_weights(model).items()}


def test_rows_are_copied_by_token_and_class():
    old, new = network(), network(NEW, 3)
    source, before = values(old), values(new)
    said = transfer(new, old, named_rows(NEW, ["b", "c", "a"]), named_rows(OLD, ["a", "b"]))
    found, table = values(new), source["embedding/embeddings"]
    for token, row in zip(NEW, found["embedding/embeddings"], strict=True):
        wanted = table[OLD.index(token)] if token in OLD else table.mean(0)
        np.testing.assert_allclose(row, wanted, rtol=1e-6)
    kernel = found["logits/kernel"]
    np.testing.assert_array_equal(kernel[:, 0], source["logits/kernel"][:, 1])
    np.testing.assert_array_equal(kernel[:, 1], before["logits/kernel"][:, 1])  # a new class
    np.testing.assert_array_equal(kernel[:, 2], source["logits/kernel"][:, 0])
    for name in found.keys() - {"embedding/embeddings", "logits/kernel", "logits/bias"}:
        np.testing.assert_array_equal(found[name], source[name])
    assert "4 of 6 rows of embedding/embeddings, 2 of 3 rows of logits/kernel" in said


def test_what_is_new_left_over_or_unfit_is_said_and_left_as_it_was():
    old, new = network(layers=3), network(layers=2, pooling="attention")
    before = values(new)
    said = transfer(new, old, named_rows(OLD, "ab"), named_rows(OLD, "ab"))
    assert "new: attention/kernel, attention/bias, attention/scale" in said
    assert "left over: recurrent/forward/gru#2/gru_cell/kernel" in said
    np.testing.assert_array_equal(values(new)["attention/kernel"], before["attention/kernel"])
    with pytest.raises(RunError, match="Received: no weight that does"):
        transfer(keras.Sequential([layers.Input((2,)), layers.Dense(3)]), old, {}, {})


def test_a_network_without_its_head_is_taken_as_far_as_it_goes():
    full = network()
    body = keras.Model(full.input, full.get_layer("recurrent").output, name="network")
    new = network(NEW)
    said = transfer(new, body, named_rows(NEW, "ab"), named_rows(OLD, ""))
    assert "new: logits/kernel, logits/bias" in said
    np.testing.assert_array_equal(
        new.get_layer("recurrent").get_weights()[0], full.get_layer("recurrent").get_weights()[0]
    )


@pytest.mark.parametrize("settings", [{}, {"tied": True}, {"embedding_dim": 0}])
def test_a_generator_copies_every_weight_of_tokens(settings):
    from rnnapps.apps.chargen.model import named_rows as rows_of

    config = CharGenConfig(**{"units": 4, "embedding_dim": 4, "cell": "attention_lstm", **settings})
    old, new = (build_generator(config, len(tokens)) for tokens in (OLD, NEW))
    transfer(new, old, rows_of(new, NEW), rows_of(old, OLD))
    ids, other = np.array([[2, 4]]), np.array([[4, 2]])  # "good film", in each vocabulary
    before, after = old(ids)[0].numpy(), new(other)[0].numpy()
    np.testing.assert_allclose(after[..., [4, 2]], before[..., [2, 4]], rtol=1e-5, atol=1e-6)


def test_names_do_not_depend_on_what_else_was_built():
    def model():
        return keras.Sequential([layers.Input((2,)), layers.Dense(2), layers.Dense(2)], name="m")

    first, second = model(), model()
    assert [w.path for w in first.weights] != [w.path for w in second.weights]
    assert list(named_weights(first)) == list(named_weights(second))


def test_levels_go_from_the_embedding_over_the_layers_to_the_top():
    model = network(layers=2, normalization="layer")
    heights = levels(model.trainable_variables)
    by_name = dict(zip(named_weights(model), heights, strict=True))
    assert by_name["embedding/embeddings"] == 0
    assert by_name["recurrent/forward/gru/gru_cell/kernel"] == 1
    assert by_name["recurrent/forward/layer_normalization/gamma"] == 1
    assert by_name["recurrent/backward/gru#1/gru_cell/bias"] == 2
    assert by_name["logits/bias"] == 3


@pytest.mark.parametrize(
    "settings", [{"cell": "transformer", "heads": 1, "units": 4}, {"block": "pre_norm"}]
)
def test_a_block_learns_as_a_whole(settings):
    model = network(layers=2, **settings)
    heights = levels(model.trainable_variables)
    found = {"embedding": set(), "block": set(), "block#1": set(), "logits": set()}
    for name, level in zip(named_weights(model), heights, strict=True):
        [part] = [part for part in name.split("/") if part in found] or [None]
        found.get(part, set()).add(level)
    assert found == {"embedding": {0}, "block": {1}, "block#1": {2}, "logits": {3}}


def batch(seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(2, 5, (4, 6)).astype("int32"), rng.integers(0, 2, 4)


def compiled(**settings):
    config = SentimentConfig(**SMALL, layers=2, schedule="constant", init_from="run", **settings)
    keras.utils.set_random_seed(0)
    model = build_network(config, 5, 2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    compile_model(model, config, steps=10, loss=loss)
    return model


@eagerly()
def test_a_frozen_network_trains_its_top_alone():
    model = compiled(freeze=True)
    before = values(model)
    model.train_on_batch(*batch())
    changed = {name for name, value in values(model).items() if (value != before[name]).any()}
    assert changed == {"logits/kernel", "logits/bias"}


@pytest.mark.parametrize("shrink", [0.0, 0.5])
@eagerly()
def test_each_level_learns_at_its_share_of_the_rate(shrink):
    steps = []
    for decay in (1.0, 0.5):
        model = compiled(layer_rate_decay=decay, weight_decay=shrink)
        before = values(model)
        model.train_on_batch(*batch())
        steps.append({name: value - before[name] for name, value in values(model).items()})
    plain, decayed = steps
    heights = levels(model.trainable_variables)
    for name, level in zip(named_weights(model), heights, strict=True):
        np.testing.assert_allclose(decayed[name], plain[name] * 0.5 ** (3 - level), atol=3e-7)


@pytest.mark.system
def test_levels_thaw_by_the_epochs_number_alone(tmp_path):
    def trained(epochs, folder):
        model = compiled(unfreeze_gradually=True, layer_rate_decay=0.9)
        keeper = Checkpoint(folder)
        first = len(keeper.history)
        model.fit(
            *batch(), epochs=epochs, initial_epoch=first, verbose=0, shuffle=False,
            callbacks=[GradualUnfreezing(), keeper],
        )  # fmt: skip
        return values(model)

    start = values(compiled(unfreeze_gradually=True))
    one = trained(1, tmp_path / "a")
    moved = {name for name, value in one.items() if (value != start[name]).any()}
    assert moved == {"logits/kernel", "logits/bias"}
    resumed, whole = trained(3, tmp_path / "a"), trained(3, tmp_path / "b")
    for name, value in whole.items():
        np.testing.assert_array_equal(value, resumed[name])
    np.testing.assert_array_equal(whole["embedding/embeddings"], start["embedding/embeddings"])
    assert (whole["recurrent/forward/gru/gru_cell/kernel"]
            != start["recurrent/forward/gru/gru_cell/kernel"]).any()  # fmt: skip


def test_flags_that_contradict_are_one_sentence():
    with pytest.raises(ConfigError, match="both, which contradict"):
        SentimentConfig(init_from="run", freeze=True, unfreeze_gradually=True)
    with pytest.raises(ConfigError, match=r"Expected init_from= RUN with freeze=. Received: none"):
        SentimentConfig(freeze=True)


def test_a_weight_whose_rows_have_names_in_one_network_only_does_not_fit():
    one, other = (keras.Sequential([layers.Embedding(3, 2, name="words")]) for _ in range(2))
    one.build((None, None))
    other.build((None, None))
    with pytest.raises(RunError, match="no weight that does"):
        transfer(one, other, {"words/*": Rows(0, "abc")}, {})
