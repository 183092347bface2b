"""Recurrent layers for Keras 3, and the loops under them."""

from rnnapps.layers.attention import AttentionPooling
from rnnapps.layers.attention_decoder import AttentionDecoder
from rnnapps.layers.attention_lstm import AttentionLSTM, AttentionLSTMCell
from rnnapps.layers.base import go_on, one_step
from rnnapps.layers.body import make_body
from rnnapps.layers.crf import CRF, CRFLoss
from rnnapps.layers.cross_attention import CrossAttention
from rnnapps.layers.feed_forward import FeedForward
from rnnapps.layers.gru import GRU
from rnnapps.layers.layer_norm_lstm import LayerNormLSTM, LayerNormLSTMCell
from rnnapps.layers.lstm import LSTM
from rnnapps.layers.mingru import MinGRU, MinGRUCell
from rnnapps.layers.peephole_lstm import PeepholeLSTM, PeepholeLSTMCell
from rnnapps.layers.pooling import SequencePooling
from rnnapps.layers.positions import PositionEmbedding
from rnnapps.layers.pre_norm import PreNormBlock
from rnnapps.layers.registry import recurrent, register
from rnnapps.layers.self_attention import SelfAttention
from rnnapps.layers.slstm import SLSTM, SLSTMCell
from rnnapps.layers.stack import RecurrentStack
from rnnapps.layers.tag_transitions import allowed_transitions
from rnnapps.layers.transformer import TransformerBlock, TransformerStack

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
    "CrossAttention",
    "FeedForward",
    "LayerNormLSTM",
    "LayerNormLSTMCell",
    "MinGRU",
    "MinGRUCell",
    "PeepholeLSTM",
    "PeepholeLSTMCell",
    "PositionEmbedding",
    "PreNormBlock",
    "RecurrentStack",
    "SLSTMCell",
    "SelfAttention",
    "SequencePooling",
    "TransformerBlock",
    "TransformerStack",
    "allowed_transitions",
    "go_on",
    "make_body",
    "one_step",
    "recurrent",
    "register",
]
