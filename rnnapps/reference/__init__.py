"""Recurrent networks from first principles: NumPy, float64, every gradient by hand.

A lesson and an oracle. Each page holds one idea; read them in this order:

1. `layer`, `recurrent`: what a layer is, and the loop over time, forward and backward.
2. `simple_rnn`, `lstm`, `gru`, `peephole_lstm`, `attention_lstm`, `mingru`, `slstm`: the cells.
   `self_attention`, `positions`, `transformer`: all steps at once, without a loop.
3. `shapes`: one-to-one, one-to-many, many-to-one, many-to-many.
4. `dense`, `embedding`, `dropout`, `initializers`, `losses`: what surrounds a cell.
5. `optimizers`, `schedules`, `clipping`, `training`: how a network learns.
6. `crf`: the tags of a sequence, predicted jointly.
7. `network`, `language_model`, `forecaster`: two networks that do something.

Weights have the names, shapes and gate orders of Keras, so arrays can be exchanged unchanged.
"""

from rnnapps.reference.activations import sigmoid, softmax
from rnnapps.reference.attention_lstm import AttentionLSTM, AttentionPooling
from rnnapps.reference.clipping import clip_by_global_norm, clip_by_value, global_norm
from rnnapps.reference.crf import CRF
from rnnapps.reference.dense import Dense
from rnnapps.reference.dropout import Dropout
from rnnapps.reference.embedding import Embedding
from rnnapps.reference.forecaster import Forecaster, sliding_windows
from rnnapps.reference.gru import GRU
from rnnapps.reference.initializers import (
    glorot_uniform,
    he_normal,
    lstm_bias,
    orthogonal,
)
from rnnapps.reference.language_model import LanguageModel, encode_words, next_word_examples
from rnnapps.reference.layer import Gradients, Layer
from rnnapps.reference.losses import mean_squared_error, softmax_cross_entropy
from rnnapps.reference.lstm import LSTM
from rnnapps.reference.mingru import MinGRU
from rnnapps.reference.optimizers import SGD, Adam
from rnnapps.reference.peephole_lstm import PeepholeLSTM
from rnnapps.reference.positions import positional_encoding, rotate
from rnnapps.reference.recurrent import Recurrent
from rnnapps.reference.schedules import exponential_decay, step_decay
from rnnapps.reference.self_attention import SelfAttention, scaled_dot_product
from rnnapps.reference.simple_rnn import SimpleRNN
from rnnapps.reference.slstm import SLSTM
from rnnapps.reference.training import EarlyStopping, fit
from rnnapps.reference.transformer import LayerNorm, TransformerBlock

__all__ = [
    "CRF",
    "GRU",
    "LSTM",
    "SGD",
    "SLSTM",
    "Adam",
    "AttentionLSTM",
    "AttentionPooling",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "Forecaster",
    "Gradients",
    "LanguageModel",
    "Layer",
    "LayerNorm",
    "MinGRU",
    "PeepholeLSTM",
    "Recurrent",
    "SelfAttention",
    "SimpleRNN",
    "TransformerBlock",
    "clip_by_global_norm",
    "clip_by_value",
    "encode_words",
    "exponential_decay",
    "fit",
    "global_norm",
    "glorot_uniform",
    "he_normal",
    "lstm_bias",
    "mean_squared_error",
    "next_word_examples",
    "orthogonal",
    "positional_encoding",
    "rotate",
    "scaled_dot_product",
    "sigmoid",
    "sliding_windows",
    "softmax",
    "softmax_cross_entropy",
    "step_decay",
]
