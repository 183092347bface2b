"""Recurrent layers for Keras 3, and the loops under them."""

from rnnapps.layers.attention import AttentionPooling
from rnnapps.layers.attention_decoder import AttentionDecoder
from rnnapps.layers.attention_lstm import AttentionLSTM, AttentionLSTMCell
from rnnapps.layers.crf import CRF, CRFLoss
from rnnapps.layers.gru import GRU
from rnnapps.layers.layer_norm_lstm import LayerNormLSTM, LayerNormLSTMCell
from rnnapps.layers.lstm import LSTM
from rnnapps.layers.mingru import MinGRU, MinGRUCell
from rnnapps.layers.peephole_lstm import PeepholeLSTM, PeepholeLSTMCell
from rnnapps.layers.pooling import SequencePooling
from rnnapps.layers.pre_norm import PreNormBlock
from rnnapps.layers.registry import recurrent, register
from rnnapps.layers.slstm import SLSTM, SLSTMCell
from rnnapps.layers.stack import RecurrentStack
from rnnapps.layers.tag_transitions import allowed_transitions

__all__ = [
    "CRF",
    "GRU",
    "LSTM",
    "SLSTM",
    "AttentionDecoder",
    "AttentionLSTM",
    "AttentionLSTMCell",
    "AttentionPooling",
    "CRFLoss",
    "LayerNormLSTM",
    "LayerNormLSTMCell",
    "MinGRU",
    "MinGRUCell",
    "PeepholeLSTM",
    "PeepholeLSTMCell",
    "PreNormBlock",
    "RecurrentStack",
    "SLSTMCell",
    "SequencePooling",
    "allowed_transitions",
    "recurrent",
    "register",
]
