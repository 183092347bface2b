"""What the applications share: fit, update, evaluate, predict, export."""

import abc
import contextlib
import functools
import pathlib
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf

from rnnapps import workers
from rnnapps.apps.exporting import export, model_card
from rnnapps.apps.interrupted import keep_to_data, keep_to_settings, state_of
from rnnapps.apps.parts import InParts
from rnnapps.apps.run import check_free
from rnnapps.apps.run_info import RunInfo, installed_versions, lineage
from rnnapps.apps.saving import Saved
from rnnapps.apps.saving import load as load  # it reads a run of any application
from rnnapps.apps.starting import agreed, forget_source, frozen_vectors, start
from rnnapps.apps.telling import Shown
from rnnapps.apps.trained import Callbacks, Trained
from rnnapps.apps.updating import GIVEN, TOLERANCE, update
from rnnapps.config import TrainingConfig
from rnnapps.data import together
from rnnapps.data.cache import cache_in
from rnnapps.data.learned import Learned, hashes
from rnnapps.errors import ConfigError, DataError, RunError
from rnnapps.files import checksum, enough_space, remove_tree
from rnnapps.progress import say, working
from rnnapps.serving.export.export import ExportSpec
from rnnapps.text import at_width_of_vectors
from rnnapps.training import Diverged, EpochSeconds, Rows, spent

Metric = Callable[[Any, Any], float]  # from what is true and what was predicted


class Application(Shown, Saved, InParts, abc.ABC):
    """A network with its data, its training and its export behind a few verbs.

    Args:
        config: The configuration, or
        **settings: its fields by name.

    Raises:
        ConfigError: If a setting is unknown or out of its range.
    """

    name: ClassVar[str]
    config_class: ClassVar[type[TrainingConfig]]
    objectives: ClassVar[dict[str, str]]
    """What a search may improve on the validation part: `"max"` or `"min"` by its name."""

    def __init__(self, config: TrainingConfig | None = None, **settings: Any):
        if config is not None and settings:
            raise ConfigError("Expected a configuration or settings by name. Received: both.")
        if not isinstance(config, self.config_class | None):
            raise ConfigError(
                f"Expected a {self.config_class.__name__}, or settings by name. Received: "
                f"{config!r}."
            )
        self.config = config or self.config_class(**settings)
        self.history: list[dict[str, float]] = []
        self.metrics: dict[str, Any] = {}
        self.info = RunInfo(source=self.config.data)
        self.run_dir: pathlib.Path | None = None
        self.given = (None, None)
        self.learned = Learned()
        self._model: keras.Model | None = None

    # What an application says of itself. Between calls it keeps its model and what is known of it.

    @abc.abstractmethod
    def _fit(self, splits: Any, checkpoint_dir: pathlib.Path, callbacks: Callbacks) -> Trained:
        """Builds a model and trains it, keeping its state in `checkpoint_dir`."""

    @abc.abstractmethod
    def _evaluate(self, splits: Any, part: str, **options: Any) -> dict[str, Any]:
        """Measures the model on the `"validation"` or `"test"` part, and baselines beside it."""

    @abc.abstractmethod
    def _pairs(self, splits: Any, part: str) -> tuple[Any, Any]:
        """What is true of a part, and what the model predicts: what a person's metrics compare."""

    @abc.abstractmethod
    def _plot(self, found: dict[str, Any], folder: pathlib.Path) -> None:
        """Draws what `_evaluate` returned."""

    def _rows(self) -> dict[str, Rows]:
        """What the rows of the network's weights stand for, see `training.transfer`."""
        return {}

    def _settled(self) -> dict[str, Any]:
        """The settings that a run has which starts from this one."""
        return {name: getattr(self.config, name) for name in self.config.inherited}

    @abc.abstractmethod
    def predict(self, inputs: Any = None) -> Any:
        """Answers for new inputs, or for those that were set aside."""

    @abc.abstractmethod
    def _print_predictions(self, options: Any, as_json: bool) -> None:
        """Prints what `rnnapps predict` answers to its options."""

    @abc.abstractmethod
    def serving_spec(self) -> ExportSpec:
        """What an export answers."""

    def _check_head(self) -> None:
        """Refuses what takes answers, where a language model alone was trained."""
        if self.trained and getattr(self.config, "pretrain_only", False):
            raise RunError(
                "This run holds a language model alone (--pretrain-only): start one that answers "
                "from it with --init-from, or take app.encoder for a model of your own."
            )

    # What all of them do.

    @property
    def trained(self) -> bool:
        """Whether there is a model."""
        return self._model is not None

    @property
    def model(self) -> keras.Model:
        """The trained Keras model, from what `predict` takes to what it answers."""
        if self._model is None:
            raise RunError("There is no model yet: call fit() first, or load() a run.")
        return self._model

    @model.setter
    def model(self, model: keras.Model | None) -> None:
        self._model = model
        self.__dict__.pop("graph", None)  # which was compiled from another model

    @property
    def network(self) -> keras.layers.Layer:
        """The recurrent network in the model."""
        return self.model.get_layer("network")

    @property
    def networks(self) -> list[keras.layers.Layer]:
        """All of them, where several answer together."""
        return [self.network]

    @functools.cached_property
    def graph(self) -> tf.types.experimental.PolymorphicFunction:
        """The model as one graph, compiled on its first call."""
        return tf.function(self.model, autograph=False, reduce_retracing=True)

    def fit(
        self,
        train: Any = None,
        validation: Any = None,
        run_dir: pathlib.Path | str | None = None,
        callbacks: Callbacks = (),
        *,
        labels: Any = None,
        sources: Any = None,
        targets: Any = None,
    ) -> Self:
        """Trains the model.

        Where several processes train together (`rnnapps.workers.joined`), the chief alone measures
        the model and keeps the run; the others go on from its state.

        Args:
            train: Your own examples, in the form that the application's documentation names;
                `None` for the configuration's data.
            validation: Examples that choose the best weights; `None` for a part of `train`.
            run_dir: Where the run is kept. Training that was interrupted goes on from its last
                epoch when it is started again with the same folder.
            callbacks: Keras callbacks, such as TensorBoard's, for the network's training.
            labels: The labels, where `train` is texts: `fit(texts, labels=labels)`.
            sources: The texts to translate: `fit(sources=texts, targets=translations)`.
            targets: Their translations.

        Returns:
            The application itself.

        Raises:
            RunError: If `run_dir` holds something else.
            DataError: If the data cannot be read, or is not what the application needs.
        """
        train = together(train, validation, labels=labels, sources=sources, targets=targets)
        if train is None and validation is not None:
            raise DataError("Expected train where validation is given. Received: None.")
        self.config = agreed(self.config, self.name)
        with contextlib.ExitStack() as stack:
            if not workers.is_chief():
                run_dir = None
            if run_dir is None:
                state_dir = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
            else:
                run_dir = pathlib.Path(run_dir).resolve()
                check_free(run_dir, self.name)
                stack.enter_context(enough_space(run_dir.parent))
                state_dir = stack.enter_context(state_of(run_dir))
                keep_to_settings(self.name, self.config, state_dir)
            workers.share(state_dir, but=("cache",))
            stack.enter_context(cache_in(state_dir / "cache"))
            try:
                self._train(train, validation, state_dir, callbacks)
            except BaseException as error:
                # Keeps what there is to go on from, which does not include a loss that is NaN.
                if isinstance(error, Diverged) or not any(state_dir.glob("*/epoch-*")):
                    remove_tree(state_dir)
                raise
            if run_dir is not None:
                self.save(run_dir)
                remove_tree(state_dir)
        return self

    def _train(
        self, train: Any, validation: Any, state_dir: pathlib.Path, callbacks: Callbacks
    ) -> None:
        self.model, self.history, self.metrics, self.run_dir = None, [], {}, None  # an earlier one
        self.config = at_width_of_vectors(self.config)
        source = self.config.init_from
        before = Learned() if source is None else Learned.read(pathlib.Path(source))
        with working("reading the data"):
            splits = self._kept_apart(self._taken(train, validation), before.all)
        if validation is not None and len(before.all):
            validation = splits.validation
        self.given = (train, validation)
        source = self.config.data if train is None else GIVEN
        self.info = RunInfo(source=source, folder=str(pathlib.Path.cwd()))
        self.learned = Learned(before=before.all)
        self.learn(splits, state_dir, callbacks)

    def learn(self, splits: Any, state_dir: pathlib.Path, callbacks: Callbacks) -> None:
        """Trains the model on parts, and measures it on their validation part.

        Args:
            splits: The parts.
            state_dir: Where the state of the training is kept.
            callbacks: Keras callbacks.
        """
        began, clock = time.monotonic() - spent(state_dir), EpochSeconds()
        say([*splits.said, *splits.notes])
        with working("checking the data"):
            fingerprint = self._fingerprint(splits)
        self.info = self.info.model_copy(
            update={
                "fingerprint": fingerprint,
                "sizes": getattr(splits, "sizes", {}),  # others' applications may have none
                "frozen": frozen_vectors(self.config),
                "lineage": lineage(self.config.init_from),
                "notes": list(splits.notes),
                "examples": self._examples(splits),
                "versions": installed_versions(),
            }
        )
        workers.agree("run to start from", {"init_from": "; ".join(self.info.lineage)})
        keep_to_data(self.info.fingerprint, state_dir)
        for name, path in self.config.vector_files.items():
            keep_to_data(checksum(path), state_dir, name)
        try:
            trained = self._fit(splits, state_dir, [*callbacks, clock])
        finally:
            forget_source()
        self.model, self.history = trained.model, trained.history
        with working("hashing what was learned from"):
            before = np.union1d(self.learned.before, hashes(trained.unlabelled))
            self.learned = Learned(hashes(self._keys(splits)), before)
        self.metrics |= trained.metrics
        self.info.notes += trained.notes
        if workers.is_chief() and (found := self._evaluate(splits, "validation")):  # if any
            self.metrics["validation"] = found
        self.info.seconds = round(time.monotonic() - began, 1)
        self.info.epoch_seconds = clock.seconds

    def update(
        self,
        new: Any,
        run_dir: pathlib.Path | str | None = None,
        tolerance: float = TOLERANCE,
        epochs: int | None = None,
    ) -> dict[str, Any]:
        """Learns from new data, too, and stays as it was where that makes it worse.

        The network goes on from the weights that it has, on the old data and the new together. Both
        validation parts choose the weights, as in `fit`; the old one decides whether they are kept.

        Args:
            new: The path of a file like the configuration's `data`, a list of such, or examples as
                `fit` takes them.
            run_dir: Where the updated run is kept; `None` replaces the one it was loaded from.
            tolerance: By which share the old validation part may get worse.
            epochs: Passes over the data, at most; `None` for a quarter of the configuration's.

        Returns:
            `updated`, whether it is; `objective`, by which measure; and for `validation` and `test`
            that measure `before` and `after`, of the `old` and the `new` part.

        Raises:
            RunError: If the old data is no longer what the model learned from, or another process
                writes the run.
            DataError: If the new data cannot be read, has no row that the run's data lacks, or does
                not go on from the old.
        """
        return update(self, new, run_dir, tolerance, epochs)

    def _start(self, network: keras.Layer, rows: Mapping[str, Rows], number: int = 0) -> None:
        """Gives a network the weights of the run that it starts from, see `starting.start`."""
        start(self, network, rows, number)

    def evaluate(
        self, test: Any = None, metrics: Mapping[str, Metric] | None = None, **options: Any
    ) -> dict[str, Any]:
        """Measures the model, and the baselines beside it.

        The run directory, where there is one, gets the metrics and their figures too.

        Args:
            test: Test data in the form that `fit` takes; `None` for the configuration's test part,
                or for the validation part that `fit` was given.
            metrics: Metrics of your own by name: functions from what is true and what was predicted
                to a number. docs/how-to/metric.md says what an application gives them.
            **options: What the application's `EvaluateOptions` hold.

        Returns:
            The metrics of the field by name; under `baselines` the same for each baseline.

        Raises:
            RunError: If the configuration's data is no longer what the model was trained on.
            DataError: If the data cannot be read, or does not fit the model.
        """
        splits = self._set_aside() if test is None else self._read(test)
        found = self._evaluate(splits, "test", **options)
        if metrics:
            if taken := metrics.keys() & found.keys():
                raise ConfigError(f"Expected names that no metric has. Received: {min(taken)!r}.")
            truth, predicted = self._pairs(splits, "test")
            found |= {name: float(metric(truth, predicted)) for name, metric in metrics.items()}
        self.metrics["test"] = found
        if self.run_dir:
            self._keep_metrics(found, self.run_dir)
        return found

    def export(
        self, model_dir: pathlib.Path | str, xla: bool = False, precision: str = "float32"
    ) -> pathlib.Path:
        """Publishes the next version of a SavedModel for TF Serving.

        Args:
            model_dir: The model's folder; its versions are the folders `1`, `2`, ... in it.
            xla: Whether XLA compiles the network, for a GPU or a TPU. Texts are filled up to a few
                lengths, each of which is compiled at its first request.
            precision: `"float32"`, or `"bfloat16"` for weights in half the room; the model card
                says under `precision` what that costs.

        Returns:
            The new version's folder.

        Raises:
            RunError: If the written model does not answer as the application does.
        """
        return export(self, model_dir, xla, precision)

    def model_card(self) -> dict[str, Any]:
        """What an export's `model_card.json` says: whose model it is, of what data, how good."""
        return model_card(self)
