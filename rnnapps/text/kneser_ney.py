"""An n-gram language model with Kneser-Ney smoothing."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from rnnapps.progress import say, tracked

_MOST = 2**22  # n-grams of one model: 64 MB
_RECENT = 2**23  # tokens that are counted at most, from a text's end
_PART = 2**16  # tokens that are measured at a time


@keras.saving.register_keras_serializable("rnnapps")
class KneserNey(keras.layers.Layer):
    """An interpolated n-gram model with modified Kneser-Ney smoothing.

        p_k(w | h) = max(c(h w) - D(c(h w)), 0) / c(h *) + gamma(h) p_{k-1}(w | h without its first)

    where the longest n-grams have their counts as `c`, and shorter ones the number of different
    tokens that stand before them. `p_0` is the same for all tokens; after an `h` that was never
    seen, `p_k = p_{k-1}`.

    The n-grams are nodes of a tree: a child's n-gram is its parent's and one token more. They are
    numbered by length, then by parent, then by token, so that the sorted keys `parent * vocabulary
    + token` are all there is to look up; the root, of no token, is 0. What was read is remembered
    as the nodes of its last token, its last two, and so on; -1 is a node that there is not.

    Args:
        order: The longest n-gram, at most.
        vocabulary_size: Number of token ids, of which 0 stands for no token.
        sizes: Number of the n-grams of each length; `None` where `adapt` is still to count them.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        ids: int32 ids `(batch, time)`.
        nodes: int32 `(batch, order - 1)`, what was read before; `None` for nothing.

    Output:
        float32 probabilities of the next token `(batch, time, vocabulary)`, and what was read then.

    Reference:
        - [Chen and Goodman, 1999](https://doi.org/10.1006/csla.1999.0128)
    """

    def __init__(
        self, order: int, vocabulary_size: int, sizes: Sequence[int] | None = None, **kwargs
    ):
        super().__init__(trainable=False, dtype="float32", **kwargs)
        self.order, self.vocabulary_size, self.sizes = order, vocabulary_size, None
        if sizes is not None:
            self._make_weights(list(sizes))

    def _make_weights(self, sizes: list[int]) -> None:
        self.order, self.sizes, nodes = len(sizes), sizes, sum(sizes)
        self.keys = self.add_weight((nodes,), "zeros", "int64", trainable=False, name="keys")
        self.share = self.add_weight((nodes,), "zeros", name="share")  # of what follows its parent
        # What is left to shorter n-grams behind each node but the longest, which have no children.
        self.rest = self.add_weight((1 + nodes - sizes[-1],), "ones", name="rest")
        self.built = True

    def adapt(self, ids: np.ndarray) -> None:
        """Counts the n-grams of a text, or of its last eight million tokens.

        They become shorter than `order` where there would be over four million of them.

        Args:
            ids: Ids `(tokens,)`, from 1.
        """
        if len(ids) > _RECENT:
            say([f"the n-grams are those of the last {_RECENT:,} of {len(ids):,} tokens"])
        ids = np.asarray(ids[-_RECENT:], np.int64)
        keys, counts, first = [], [], 0  # of each length; and the number of its first node
        parent = np.zeros(len(ids), np.int64)  # of the n-gram that ends at each token
        ends = parent  # the node of that n-gram
        for k in tracked(range(min(self.order, len(ids))), "orders"):
            wanted = parent[k:] * self.vocabulary_size + ids[k:]
            distinct, where, places, count = np.unique(
                wanted, return_index=True, return_inverse=True, return_counts=True
            )
            if k:  # each different n-gram is one more way to precede what follows its first token
                if first + len(counts[-1]) + len(distinct) > _MOST:
                    break
                tail = ends[k:][where] - 1 - first  # without its first token
                before = np.bincount(tail, minlength=len(counts[-1]))
                counts[-1] = np.maximum(1, before)  # the text's beginning: 1
                first += len(before)
            keys.append(distinct)
            counts.append(count)
            ends = np.full(len(ids), -1)
            ends[k:] = 1 + first + places
            parent = np.concatenate([[-1], ends[:-1]])
        self._make_weights([len(one) for one in keys])
        self.keys.assign(np.concatenate(keys))
        smoothed, below = [], 0
        for one, count, size in zip(keys, counts, [1, *self.sizes], strict=False):
            smoothed.append(_smooth(one // self.vocabulary_size - below, count, size))
            below += size
        share, rest = zip(*smoothed, strict=True)
        self.share.assign(np.concatenate(share))
        self.rest.assign(np.concatenate(rest))

    def call(self, ids, nodes=None):
        """See the class."""
        nodes, _ = self._read(ids, nodes)  # (batch, time, order - 1)
        shape = tf.concat([tf.shape(ids), [self.vocabulary_size]], 0)
        rows = tf.reshape(nodes, [-1, self.order - 1])
        return tf.reshape(self.probabilities(rows), shape), nodes[:, -1]

    def initial_state(self, batch_size) -> tf.Tensor:
        """What was read before any token: nothing."""
        return tf.fill([batch_size, self.order - 1], -1)

    def step(self, tokens, nodes):
        """Reads one token of each row.

        Args:
            tokens: int32 `(batch,)`.
            nodes: int32 `(batch, order - 1)`, what was read before.

        Returns:
            float32 probabilities of the next token `(batch, vocabulary)`, and what was read then.
        """
        # The longest n-grams are no beginnings of any.
        nodes = self._children(_rooted(nodes)[:, :-1], tokens[:, None])
        return self.probabilities(nodes), nodes

    def nats(self, ids: np.ndarray) -> np.ndarray:
        """What each token of a text costs, -log p, given those before it: `(tokens,)`.

        Args:
            ids: Ids `(tokens,)`, from 1.
        """
        nodes, costs = self.initial_state(1), []
        for i in range(0, len(ids), _PART):
            part = tf.constant(ids[None, i : i + _PART], tf.int32)
            after, probability = self._read(part, nodes)
            nodes = after[:, -1]
            costs.append(-np.log(probability[0].numpy()))
        return np.concatenate(costs or [np.zeros(0)])

    def probabilities(self, nodes):
        """Those of all tokens `(rows, vocabulary)`, behind what was read `(rows, order - 1)`."""
        weight, left = self._weights(_rooted(nodes))  # (rows, order), (rows, 1)
        anything = tf.cast(tf.range(self.vocabulary_size) > 0, tf.float32)
        tokens = self.keys[: self.sizes[0], None]  # the root's children
        ones = tf.scatter_nd(tokens, self.share[: self.sizes[0]], [self.vocabulary_size])
        found = weight[:, :1] * ones + left * anything
        if self.order == 1:
            return found
        known = nodes >= 0
        firsts = tf.cast(tf.maximum(nodes, 0), tf.int64) * self.vocabulary_size
        first = self._search(firsts)
        last = tf.where(known, self._search(firsts + self.vocabulary_size), first)
        children = tf.ragged.range(tf.reshape(first, [-1]), tf.reshape(last, [-1]))
        places, owners = children.values, children.value_rowids()
        share = tf.gather(self.share, places) * tf.gather(tf.reshape(weight[:, 1:], [-1]), owners)
        tokens = tf.gather(self.keys, places) % self.vocabulary_size
        where = tf.stack([owners // (self.order - 1), tokens], 1)
        return tf.tensor_scatter_nd_add(found, where, share)

    def _read(self, ids, nodes) -> tuple:
        """What was read after each token `(batch, time, order - 1)`, and what each one cost.

        The second are probabilities `(batch, time)`, given what was read before.
        """
        nodes = self.initial_state(tf.shape(ids)[0]) if nodes is None else nodes
        parents, children = [tf.zeros_like(ids)], []
        for k in range(self.order):
            children.append(self._children(parents[k], ids))
            if k < self.order - 1:
                parents.append(tf.concat([nodes[:, k : k + 1], children[k][:, :-1]], 1))
        children, parents = tf.stack(children, 2), tf.stack(parents, 2)  # (batch, time, order)
        weight, left = self._weights(parents)
        share = tf.where(children > 0, tf.gather(self.share, tf.maximum(children - 1, 0)), 0.0)
        probability = tf.reduce_sum(share * weight, 2) + left[..., 0]
        return children[..., :-1], probability

    def _children(self, parents, tokens):
        """The nodes that are their parents' and a token more, -1 where there is none."""
        wanted = tf.cast(parents, tf.int64) * self.vocabulary_size + tf.cast(tokens, tf.int64)
        place = tf.minimum(self._search(wanted), sum(self.sizes) - 1)
        found = (parents >= 0) & (tf.gather(self.keys, place) == wanted)
        return tf.where(found, place + 1, -1)

    def _weights(self, parents) -> tuple:
        """What the shares behind each parent `(..., order)` are worth, and what is left `(..., 1)`.

        Each is worth what the longer ones leave.
        """
        inner = 1 + sum(self.sizes[:-1])
        rest = tf.gather(self.rest, tf.clip_by_value(parents, 0, inner - 1))
        rest = tf.where(parents >= 0, rest, 1.0)
        weight = tf.math.cumprod(rest, axis=-1, exclusive=True, reverse=True)
        left = weight[..., :1] * rest[..., :1] / (self.vocabulary_size - 1)
        return weight, left

    def _search(self, keys):
        """The place of the first key that is not less `(...)`."""
        values = tf.reshape(keys, [1, -1])
        # tf.searchsorted fails where nothing is looked for.
        found = tf.raw_ops.LowerBound(sorted_inputs=self.keys[None], values=values)
        return tf.reshape(found, tf.shape(keys))

    def get_config(self):
        config = super().get_config()
        settings = {"order": self.order, "vocabulary_size": self.vocabulary_size}
        return {"name": config["name"], **settings, "sizes": self.sizes}


def _rooted(nodes):
    """Nodes `(rows, order - 1)` with the root before them."""
    return tf.pad(nodes, [[0, 0], [1, 0]])


def _smooth(parents: np.ndarray, counts: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Each n-gram's discounted share of its parent, and what is left of each of `size` parents."""
    ones, twos, threes, fours = (max(1, int(np.sum(counts == c))) for c in (1, 2, 3, 4))
    ratio = ones / (ones + 2 * twos)
    discounts = np.clip(
        [0, 1 - 2 * ratio * twos / ones, 2 - 3 * ratio * threes / twos,
         3 - 4 * ratio * fours / threes],
        [0, 0.1, 0.1, 0.1], [0, 1, 2, 3],  # something is left for what was never seen
    )  # fmt: skip
    taken = discounts[np.minimum(counts, 3)]
    total = np.bincount(parents, counts, minlength=size)
    lost = np.bincount(parents, taken, minlength=size)
    rest = np.where(total > 0, lost / np.maximum(total, 1), 1.0)  # the text's end: all of it
    return (counts - taken) / total[parents], rest
