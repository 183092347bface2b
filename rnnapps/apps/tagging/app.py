"""The tagger."""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from rnnapps import figures
from rnnapps.apps.application import Application
from rnnapps.apps.run import keep_to_data
from rnnapps.apps.tagging import data
from rnnapps.apps.tagging.answers import TagsFound, answer_of, tags_of_tokens
from rnnapps.apps.tagging.baseline import crfsuite, most_frequent_tags
from rnnapps.apps.tagging.config import PredictOptions, TaggingConfig
from rnnapps.apps.tagging.metrics import confusion, measures
from rnnapps.apps.tagging.model import (
    AFFIX_BUCKETS,
    PAIR_BUCKETS,
    build_network,
    named_rows,
    trained_network,
)
from rnnapps.apps.tagging.pipeline import (
    TOKENS,
    build_encoder,
    build_tagger,
    serving_spec,
    tag_tokens,
)
from rnnapps.apps.tagging.printing import print_predictions
from rnnapps.data import Splits, Tagged
from rnnapps.errors import RunError
from rnnapps.progress import say, working
from rnnapps.serving import ExportSpec
from rnnapps.spans import Scheme, written_in
from rnnapps.standard_input import batches_of
from rnnapps.text import (
    OffsetTokenizer,
    TokenEncoder,
    kind_of_tokens,
    start_from_vectors,
)
from rnnapps.training import Rows, compile_model, fit, precision, pretrain, strategy_of


class Tagger(Application):
    """Gives each token of a sentence a label, and so finds names: a recurrent network with a CRF.

    `fit` and `evaluate` take your own sentences as a pair of tokens and tags, each with a list for
    each sentence (`fit(tokens, labels=tags)`), as a DataFrame with a token a row and the
    configuration's `sentence_column`, or as the `Path` of a file.

    Args:
        config: The configuration, or
        **settings: its fields by name.

    Raises:
        ConfigError: If a setting is unknown or out of its range.

    Example:
    >>> names = ["Ada", "Bob", "Eve", "Max"]
    >>> tokens = [[a, "met", b, str(n)] for n in range(20) for a in names for b in names]
    >>> app = Tagger(epochs=4, units=16, learning_rate=2e-2, dropout=0.1)
    >>> app = app.fit(tokens, labels=[["B-name", "O", "B-name", "O"]] * 320)
    >>> [span["text"] for span in app.predict(["Ada met Max 3"])[0]["spans"]]
    ['Ada', 'Max']
    """

    name = "tagging"
    config_class = TaggingConfig
    objectives: ClassVar = {
        "f1": "max", "accuracy": "max", "precision": "max", "recall": "max", "loss": "min",
    }  # fmt: skip
    config: TaggingConfig

    @property
    def tags(self) -> list[str]:
        """The tags' names, in the order of the scores."""
        return list(self.model.get_layer("tags").tags)

    @property
    def encoder(self) -> keras.Model:
        """The part that reads, for models of your own: strings to states.

        A model from strings `(batch,)` to states `(batch, time, features)`, with a mask of the
        tokens; its layers are the tagger's.
        """
        layers = (self.model.get_layer(name) for name in ("tokenizer", "encoder", "network"))
        return build_encoder(*layers)

    @functools.cached_property
    def graph(self) -> tf.types.experimental.PolymorphicFunction:
        """From tokens to tags and their probabilities, compiled on its first call."""
        tag = functools.partial(tag_tokens, self.model)
        return tf.function(tag, input_signature=[TOKENS], autograph=False)

    def _rows(self) -> dict[str, Rows]:
        layers = {layer.name: layer for layer in self.model.layers}
        tags = layers["tags"].tags if "tags" in layers else []
        encoder = layers["encoder"]
        return named_rows(encoder.words.vocabulary, encoder.characters.vocabulary, tags)

    def _settled(self) -> dict[str, Any]:
        kind = self.model.get_layer("tokenizer").kind  # where it was found
        found = data.decided(self.config, kind)
        settled = {name: getattr(found, name) for name in data.BY_KIND}
        return {**super()._settled(), "tokenizer": kind, **settled}

    def _load(self, train: Any = None, validation: Any = None, test: Any = None) -> Splits[Tagged]:
        if train is None and test is None:
            return data.load_splits(self.config)
        return data.given_splits(self.config, train=train, validation=validation, test=test)

    def _fingerprint(self, splits: Splits[Tagged]) -> str:
        return data.fingerprint(splits.train, splits.validation)

    def _fit(
        self,
        splits: Splits[Tagged],
        checkpoint_dir: pathlib.Path,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> None:
        train, validation = splits.train, splits.validation
        config, strategy = self.config, strategy_of(self.config)
        names, spans = data.tag_names(train), bool(train.scheme.written)
        self.info.notes += (notes := data.notes_on(splits, names, config))
        with working("reading the texts"):
            more = data.unlabelled(splits, config)
            kind = kind_of_tokens(train.tokens) if config.tokenizer == "auto" else config.tokenizer
            tokenizer = OffsetTokenizer(kind, name="tokenizer")
            others = data.cut(more.texts, tokenizer)
            config = data.decided(config, kind)
            most = data.MOST_CHARACTERS if config.character_units else 0
            pairs = PAIR_BUCKETS if config.pair_dim else 0
            affixes = AFFIX_BUCKETS if config.affix_dim else 0
            encoder = TokenEncoder(config.max_tokens, most, affixes, pairs, name="encoder")
            encoder.adapt(token for part in (train.tokens, others) for row in part for token in row)
        say([f"texts are cut as --tokenizer={kind} does", *more.said, *more.notes, *notes])
        self.info.notes += more.notes
        if config.unlabelled:
            keep_to_data(more.fingerprint, checkpoint_dir, "unlabelled texts")
        batches = data.batches(train, encoder, names, config)
        held = data.batches(validation, encoder, names, config).one_pass()[0]
        sizes = encoder.words.vocabulary_size, encoder.characters.vocabulary_size if most else 0
        keras.utils.set_random_seed(config.seed)
        with strategy.scope(), precision(config.precision):
            ids = data.word_ids(train.tokens, encoder)
            counts = np.bincount(ids.flat_values, minlength=sizes[0])
            network = build_network(config, *sizes, names, spans, counts)
            embedding = network.get_layer("embedding")
            vectors = config.vectors, config.vectors_frozen
            start_from_vectors(embedding, encoder.words, ids, *vectors, any_case=True)
            rows = named_rows(encoder.words.vocabulary, encoder.characters.vocabulary, names)
            self._start(network, rows)
            if config.passes:
                texts = data.word_ids([*train.tokens, *others], encoder)
                self.metrics["pretraining"], self.history = pretrain(
                    embedding,
                    network.get_layer("recurrent"),
                    texts,
                    data.word_ids(validation.tokens, encoder),
                    config,
                    config.passes,
                    checkpoint_dir / "language_model",
                )
            if config.pretrain_only:
                self.model = build_encoder(tokenizer, encoder, network)
                return
            trained = trained_network(network)
            steps, loss = config.epochs * len(batches), network.get_layer("crf").loss
            compile_model(trained, config, steps=steps, loss=loss)
        checkpoint_dir = checkpoint_dir / "network"
        self.history = fit(
            trained,
            batches,
            held,
            config,
            config.epochs,
            checkpoint_dir,
            callbacks,
            keep_last=not config.patience,
        )
        self.model = build_tagger(tokenizer, encoder, network, names)

    def predict(
        self, inputs: Sequence[str] | None = None, tokens: bool = False
    ) -> list[dict[str, Any]]:
        """Tags the tokens of each text.

        Args:
            inputs: The texts, in any form that `data.texts_given` takes; or lists of tokens; `None`
                for the validation part that `fit` was given, or the configuration's test part.
            tokens: Whether texts are tokenised already, with spaces between tokens.

        Returns:
            For each text `tokens`, `tags` and their `probabilities`; and where the tags write
            spans, `spans`: `start` and `end` in characters, `label`, `text` and `probability`,
            that of the least likely of its tags.

        Raises:
            DataError: If `inputs` is anything else, one text among it, or no part was set aside.
        """
        self._check_head()
        inputs = self._set_aside().test.tokens if inputs is None else inputs
        tokenizer, column = self.model.get_layer("tokenizer"), self.config.text_column
        texts, cut = data.cut_inputs(inputs, tokens, tokenizer, column)
        found = self._tag([words for words, _ in cut])
        rows = zip(texts, cut, found.tags, found.probabilities, strict=True)
        spans = bool(written_in(self.tags))
        return [answer_of(text, *one, tags, p, spans) for text, one, tags, p in rows]

    def _print_predictions(self, options: PredictOptions, as_json: bool) -> None:
        """Prints an answer a line."""
        for texts in batches_of(options.text):
            print_predictions(texts, self.predict(texts, options.tokens), as_json)

    def _tag(self, sentences: Sequence[Sequence[str]]) -> TagsFound:
        return tags_of_tokens(self.graph, sentences)

    def _evaluate(self, splits: Splits[Tagged], part: str) -> dict[str, Any]:
        """Measures the tagger on a part, and baselines on the same sentences beside it.

        Returns:
            What `metrics.measures` returns, and `baselines` with the metrics of each of them.
        """
        if self.config.pretrain_only and part == "validation":
            return {}
        self._check_head()
        tokens, truth = getattr(splits, part).tokens, self._truth(getattr(splits, part))
        train, spans = splits.train, bool(written_in(self.tags))
        known = set(self.model.get_layer("encoder").words.vocabulary)
        with working(f"tagging the {part} part"):
            predicted = self._tag(tokens).tags
            found = measures(tokens, truth, predicted, known, spans)
            found |= confusion(truth, predicted)
        if train is None:
            return {**found, "baselines": {}}
        beside = {"most frequent tag": most_frequent_tags(train.tokens, train.tags, tokens)}
        if part == "test":
            with working("training the baselines"):
                beside["CRFsuite"] = crfsuite(train.tokens, train.tags, tokens)
        measured = {
            name: measures(tokens, truth, tags, known, spans) for name, tags in beside.items()
        }
        return {**found, "baselines": measured}

    def _truth(self, part: Tagged) -> list[list[str]]:
        """The tags of a part, written as the model's are."""
        written = written_in(self.tags)
        return part.written_as(Scheme(written, written)).tags

    def _pairs(self, splits: Splits[Tagged], part: str) -> tuple[list, list]:
        """The tags of each sentence, and those that are predicted."""
        examples = getattr(splits, part)
        return self._truth(examples), self._tag(examples.tokens).tags

    def _plot(self, found: dict[str, Any], folder: pathlib.Path) -> None:
        """Draws the confusion matrix of the tags."""
        figures.confusion_matrix(
            found["confusion"], found["classes"], folder / "confusion_matrix.png"
        )

    def serving_spec(self) -> ExportSpec:
        """What an export answers.

        Its signature `serving_default` takes `text` and answers `tokens`, `tags`, `starts`, `ends`
        (in characters) and `probabilities`, filled up to the longest text, and `lengths`; `tag`
        takes `tokens`, filled up with `""`, and answers `tags`, `probabilities` and `lengths`. The
        tags' names are the asset `tags.txt`.
        """
        self._check_head()
        return serving_spec(self.model)

    def _check_head(self) -> None:
        """Refuses what takes a tagger, where a language model alone was trained."""
        if self.trained and self.config.pretrain_only:
            raise RunError(
                "This run holds a language model alone (--pretrain-only): start a tagger from it "
                "with --init-from, or take app.encoder for a model of your own."
            )
