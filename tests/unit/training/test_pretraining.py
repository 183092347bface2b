"""The language model that shares its layers with an application."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from eager import eagerly

from rnnapps import SentimentConfig
from rnnapps.data import StreamsByDirection
from rnnapps.layers import LSTM, RecurrentStack
from rnnapps.reference import LanguageModel as Reference
from rnnapps.training import SampledSoftmax, SaveEvery, precision, pretrain
from rnnapps.training.pretraining import DirectedReader, LanguageModel

RNG = np.random.default_rng(0)
IDS = RNG.integers(0, 9, (2, 2, 6)).astype("int32")  # (streams, directions, window)
TARGETS = RNG.integers(0, 9, (2, 2, 6)).astype("int32")
SETTINGS = {"batch_size": 4, "schedule": "constant", "learning_rate": 0.01}


def made(vocabulary=9, **arguments):
    """An embedding and a stack over it, built."""
    arguments = {"cell": "lstm", "units": 5, "bidirectional": True, **arguments}
    embedding = keras.layers.Embedding(vocabulary, 5, mask_zero=True)
    stack = RecurrentStack(**arguments)
    stack(embedding(np.ones((1, 3), "int32")))
    return embedding, stack


def zeros(reader):
    return [tf.zeros((2, size)) for size in reader.state_sizes]


def test_loss_and_gradients_are_those_of_the_reference():
    embedding, stack = made(bidirectional=False)
    reader = DirectedReader(embedding, stack, dropout=0.0)
    model = LanguageModel(reader, streams=2)
    with tf.GradientTape() as tape:
        features = model((IDS[:, :1], np.ones(2, "int32")), training=True)
        loss = model.compute_loss(y=TARGETS[:, :1], y_pred=features, training=True)
    cell = stack.layers[0].cell
    found = tape.gradient(loss, [embedding.embeddings, cell.kernel, cell.recurrent_kernel])

    reference = Reference(9, 5, 5)
    parameters = reference.params
    parameters["embedding/embeddings"][...] = embedding.embeddings.numpy()
    parameters["dense/kernel"][...] = embedding.embeddings.numpy().T
    for name in ("kernel", "recurrent_kernel", "bias"):
        parameters[f"recurrent/{name}"][...] = getattr(cell, name).numpy()
    expected, gradients = reference.loss_and_gradients((IDS[:, 0], TARGETS[:, 0]))
    assert float(loss) == pytest.approx(expected, abs=1e-6)
    tied = gradients["embedding/embeddings"] + gradients["dense/kernel"].T
    np.testing.assert_allclose(tf.convert_to_tensor(found[0]), tied, atol=1e-6)
    np.testing.assert_allclose(found[1], gradients["recurrent/kernel"], atol=1e-6)
    np.testing.assert_allclose(found[2], gradients["recurrent/recurrent_kernel"], atol=1e-6)


@pytest.mark.parametrize("vocabulary", [9, 3000])  # the whole softmax, and of a sample
def test_the_loss_is_float32_in_bfloat16(vocabulary):
    losses = []
    for policy in ("float32", "mixed_bfloat16"):
        keras.utils.set_random_seed(0)
        with precision(policy):
            model = LanguageModel(DirectedReader(*made(vocabulary), dropout=0.0), streams=2)
        features = model((IDS, np.ones(2, "int32")), training=True)
        losses.append(model.compute_loss(y=TARGETS, y_pred=features, training=True))
    assert losses[1].dtype == "float32"
    assert float(losses[1]) == pytest.approx(float(losses[0]), rel=0.01)


@pytest.mark.parametrize(
    "arguments",
    [
        {"cell": "gru", "normalization": "layer", "residual": True},
        {"cell": "simple_rnn", "bidirectional": False, "num_layers": 2},
        {"num_layers": 2, "separate_directions": True, "normalization": "layer", "residual": True},
    ],
)
def test_no_direction_sees_what_comes(arguments):
    reader = DirectedReader(*made(**arguments))
    ids = IDS[:, : len(reader.stacks)]
    other = ids.copy()
    other[..., 4] = (other[..., 4] + 1) % 9
    one, two = (reader(x, zeros(reader))[0].numpy() for x in (ids, other))
    np.testing.assert_array_equal(one[:, :, :4], two[:, :, :4])
    assert (np.abs(one - two).max(axis=(2, 3))[:, :] > 0).all()


def test_the_classifier_reads_with_what_the_language_model_has_learned():
    """One layer in both directions, and two, give the outputs that the directions give."""
    for arguments in ({}, {"num_layers": 2, "separate_directions": True}):
        embedding, stack = made(**arguments)
        forward, backward = stack.directions()
        x = tf.identity(embedding(IDS[:, 0]))
        ahead, back = forward(x)[0], backward(x[:, ::-1])[0]
        np.testing.assert_allclose(
            stack(x), tf.concat([ahead, back[:, ::-1]], -1), atol=1e-6, rtol=1e-6
        )
    embedding, stack = made(num_layers=2)
    with pytest.raises(ValueError, match="separate_directions=True"):
        stack.directions()


@pytest.mark.parametrize("kind", [np.int32, np.uint8])  # copied, and read in place
def test_the_second_direction_reads_the_text_turned_round(kind):
    ids = np.arange(1, 26, dtype=kind)
    batches = list(StreamsByDirection(ids, 2, 4, 2).one_pass())
    rows = [np.concatenate([b[0][0][:, way] for b in batches], axis=1) for way in (0, 1)]
    answers = [np.concatenate([b[1][:, way] for b in batches], axis=1) for way in (0, 1)]
    np.testing.assert_array_equal(answers[0], [ids[:12], ids[12:24]])
    np.testing.assert_array_equal(answers[1], [ids[::-1][:12], ids[::-1][12:24]])
    assert (rows[0][0, 1:] == answers[0][0, :-1]).all() and rows[0][0, 0] == 0


def test_a_sample_is_corrected_as_tensorflow_does_it():
    vocabulary, width, samples = 3000, 4, 64
    softmax = SampledSoftmax(vocabulary, samples, seed=3)
    softmax.build(None)
    ids = RNG.zipf(1.3, 9000) % vocabulary
    softmax.adapt(ids)
    softmax.bias.assign(RNG.normal(size=vocabulary))
    kernel = tf.constant(RNG.normal(size=(vocabulary, width)), tf.float32)
    features = tf.constant(RNG.normal(size=(3, 7, width)), tf.float32)
    targets = tf.constant(RNG.integers(0, 40, (3, 7)), tf.int32)
    u = keras.random.uniform((samples,), seed=keras.random.SeedGenerator(3))
    share = np.maximum(np.bincount(ids, minlength=vocabulary), 1) ** 0.75
    share = np.float32(share / share.sum())
    drawn = np.searchsorted(np.cumsum(share), u, side="right")

    def expected(ids):
        return samples * tf.gather(share, ids)

    flat = tf.reshape(targets, (-1, 1))
    theirs = tf.nn.sampled_softmax_loss(
        kernel,
        softmax.bias,
        flat,
        tf.reshape(features, (-1, width)),
        samples,
        vocabulary,
        sampled_values=(tf.cast(drawn, tf.int64), expected(flat), expected(drawn)),
    )
    loss = softmax(kernel, features, targets, training=True)
    assert float(loss) == pytest.approx(float(tf.reduce_mean(theirs)), rel=1e-5)
    logits = features @ tf.transpose(kernel) + softmax.bias
    whole = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    measured = softmax(kernel, features, targets, training=False)
    assert float(measured) == pytest.approx(float(tf.reduce_mean(whole)), rel=1e-5)


def test_a_softmax_begins_with_the_frequencies_of_the_words():
    ids = RNG.zipf(1.3, 9000) % 3000
    softmax = SampledSoftmax(3000, 64)
    softmax.build(None)
    softmax.adapt(ids)
    nothing = tf.zeros((9, 1000, 1))
    found = softmax(tf.ones((3000, 1)), nothing, tf.constant(ids.reshape(9, 1000), tf.int32))
    shares = np.unique(ids, return_counts=True)[1] / 9000
    entropy = -np.sum(shares * np.log(shares))
    unseen = np.log(1 + (3000 - len(shares)) / 9000)  # each of which counts as seen once
    assert float(found) == pytest.approx(entropy + unseen, rel=1e-5)


@pytest.mark.system
def test_pretraining_goes_on_where_it_was(tmp_path):
    text = tf.ragged.constant([[1 + (i * j) % 8 for j in range(i % 11)] for i in range(90)])
    ends = []
    for folders in (["whole"], ["broken", "broken"]):
        keras.utils.set_random_seed(0)
        embedding, stack = made()
        for passes, folder in zip((2,) if len(folders) == 1 else (1, 2), folders, strict=True):
            arguments = ([text], text[:30], SentimentConfig(**SETTINGS), passes, tmp_path / folder)
            found, history = pretrain(embedding, stack, *arguments)
        ends.append((stack.get_weights(), found, history))
    (one, found, history), (two, _, again) = ends
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    assert history == again and len(history) == 2
    assert found["perplexity"] == pytest.approx(np.exp(min(e["val_loss"] for e in history)))
    assert history[1]["val_loss"] < history[0]["val_loss"] < np.log(9)


class Killed(SaveEvery):
    """Has the state kept after two steps, and ends the training behind those of a number."""

    def __init__(self, steps):
        super().__init__(2)
        self.left = steps

    def on_train_batch_begin(self, batch, logs=None):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


@eagerly()
def test_pretraining_goes_on_within_an_epoch(tmp_path):
    text = tf.ragged.constant([[1 + (i * j) % 8 for j in range(i % 11)] for i in range(90)])
    ends = []
    for folder, steps in (("whole", 99), ("killed", 2), ("killed", 99)):
        keras.utils.set_random_seed(0)
        embedding, stack = made()
        arguments = ([text], text[:30], SentimentConfig(**SETTINGS), 1, tmp_path / folder)
        try:
            _, history = pretrain(embedding, stack, *arguments, [Killed(steps)])
        except KeyboardInterrupt:
            assert list((tmp_path / folder).glob("epoch-00000-000000002"))
        else:
            ends.append((stack.get_weights(), history[0]["loss"]))
    (one, loss), (two, again) = ends
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert loss == pytest.approx(again, rel=1e-5)


def test_weight_drop_masks_the_recurrent_kernel():
    x = RNG.normal(size=(2, 5, 3)).astype("float32")
    layer = LSTM(4, weight_drop=0.5, seed=7)
    plain = LSTM(4)
    layer(x), plain(x)
    plain.set_weights(layer.get_weights())
    np.testing.assert_array_equal(layer(x), plain(x))
    kernel = layer.cell.recurrent_kernel
    mask = keras.random.dropout(tf.ones_like(kernel), 0.5, seed=keras.random.SeedGenerator(7))
    plain.cell.recurrent_kernel.assign(kernel * mask)
    np.testing.assert_allclose(layer(x, training=True), plain(x), atol=1e-6)
    assert LSTM.from_config(layer.get_config()).weight_drop == 0.5
    with pytest.raises(ValueError, match="with `weight_drop`"):
        LSTM(4, weight_drop=0.5, unroll=True)(x)


def test_separate_directions_hold_masks_states_and_round_trips(tmp_path):
    arguments = {"bidirectional": True, "separate_directions": True, "num_layers": 2}
    x = RNG.normal(size=(2, 5, 3)).astype("float32")
    mask = np.arange(5) < [[5], [3]]
    for sequences in (True, False):
        stack = RecurrentStack("gru", 4, **arguments, return_sequences=sequences)
        whole = stack(x, mask=mask).numpy()
        short = stack(x[1:, :3]).numpy()
        np.testing.assert_allclose(whole[1:, :3] if sequences else whole[1:], short, atol=1e-6)
    stack = RecurrentStack("lstm", 4, **arguments, return_state=True)
    _, state = stack(x)
    np.testing.assert_array_equal([s.shape[1] for s in state], stack.state_sizes)
    once, _ = stack(x, initial_state=state)
    assert np.abs(once - stack(x)[0]).max() > 1e-3
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, RecurrentStack("gru", 4, **arguments)(inputs))
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(x), model(x))
