"""What the applications share: fit, evaluate, predict, save, load, export."""

import abc
import contextlib
import dataclasses
import functools
import json
import pathlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from rnnapps import figures
from rnnapps.apps import application_class
from rnnapps.apps.run import (
    RunInfo,
    check_free,
    draft_of,
    installed_versions,
    keep_to_data,
    keep_to_settings,
    lineage,
    put_in_place,
    read_file,
    read_run,
    state_of,
    write_settings,
)
from rnnapps.apps.telling import Shown
from rnnapps.apps.updating import GIVEN, TOLERANCE, update
from rnnapps.config import TrainingConfig, VectorOptions
from rnnapps.data import Splits, together
from rnnapps.data.learned import FILE, Learned, hashes, joined, to_training, without
from rnnapps.data.subset import fewer
from rnnapps.errors import ConfigError, DataError, RnnappsError, RunError, flag
from rnnapps.files import checksum, enough_space, read_json, remove_tree, write
from rnnapps.progress import say, working
from rnnapps.serving.export.accelerating import NARROW, rounded
from rnnapps.serving.export.export import EXACT, NEAR, ROUGH, ExportSpec, publish
from rnnapps.text import at_width_of_vectors
from rnnapps.training import Diverged, EpochSeconds, Rows, transfer

Metric = Callable[[Any, Any], float]  # from what is true and what was predicted
STAYS = ("config.toml", "model.keras", "history.csv", FILE, "figures/learning_curves.png")
"""What a run has from its training; the rest is replaced each time that it is measured."""


class Application(Shown, abc.ABC):
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
    divides: ClassVar[bool] = False
    """Whether what `fit` is given holds the test part, too."""

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
        self.given: tuple[Any, Any] = (None, None)
        self.learned = Learned()
        self._model: keras.Model | None = None

    # What an application says of itself. Between calls it keeps its model and what is known of it.

    @abc.abstractmethod
    def _load(self, train: Any = None, validation: Any = None, test: Any = None) -> Any:
        """The data in its parts: the configuration's, or examples that a person has given.

        Args:
            train: Examples to learn from, as `fit` takes them.
            validation: Examples that choose the weights; `None` for a part of `train`.
            test: Examples to measure on, as `evaluate` takes them: then there are no others.

        Returns:
            The parts, as `data.Splits` has them or in another form that says what was read (`said`)
            and what was mended in it (`notes`).
        """

    @abc.abstractmethod
    def _fingerprint(self, splits: Any) -> str:
        """What tells the parts that are learned from, and choose the weights, from any others."""

    @abc.abstractmethod
    def _fit(
        self,
        splits: Any,
        checkpoint_dir: pathlib.Path,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> None:
        """Builds the model and trains it, keeping its state in `checkpoint_dir`."""

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

    def _taken(self, train: Any = None, validation: Any = None) -> Any:
        """The data in its parts, as much of each as the configuration takes."""
        return self._fewer(self._load(train, validation))

    def _fewer(self, splits: Any) -> Any:
        """The share of each part that the configuration takes."""
        return self._of_rows(fewer(self._in_rows(splits), self.config))

    # How parts are kept from those that an earlier run has learned from: row by row.

    def _in_rows(self, splits: Any) -> Splits:
        """The parts as `data.learned.Rows`; as they are, where they are such."""
        return splits

    def _of_rows(self, splits: Splits) -> Any:
        """The parts from `_in_rows`."""
        return splits

    def _keys(self, splits: Any) -> Sequence[str | bytes]:
        """What tells the rows of the training part from others."""
        part = self._in_rows(splits).train
        return getattr(part, "keys", ())

    def _kept_apart(self, splits: Any, seen: np.ndarray) -> Any:
        """The parts, where rows of these hashes are only learned from."""
        if not len(seen):
            return splits
        whose = self.config.init_from or "the run"
        return self._of_rows(to_training(self._in_rows(splits), seen, whose))

    def _added(self, new: Any, splits: Any) -> Any:
        """New data in its parts, none of whose rows stands in another part of what there is.

        Args:
            new: The path of a file as `data` names it, or examples as `fit` takes them.
            splits: What there is.
        """
        if isinstance(new, pathlib.Path):
            loaded = type(self)(self.config.model_copy(update={"data": str(new)}))._load()
        else:
            loaded = self._load(new)
        found = without(self._in_rows(loaded), self._in_rows(splits))
        seen = np.union1d(hashes(self._keys(splits)), self.learned.before)
        return self._of_rows(to_training(found, seen, "the run"))

    def _joined(self, splits: Any, added: Any) -> Any:
        """What there is, and what was added to it, as one."""
        return self._of_rows(joined(self._in_rows(splits), self._in_rows(added)))

    def _measured_apart(self, splits: Any, added: Any) -> dict[str, Any]:
        """What is measured before and after an update: parts without training, by name."""
        found = {"old": splits, "new": added}
        return {name: dataclasses.replace(one, train=None) for name, one in found.items()}

    def _has(self, splits: Any, part: str) -> bool:
        """Whether there is anything to measure on in a part."""
        return bool(getattr(splits, part))

    def _given_data(self) -> Any:
        """What `fit` was given, in its parts."""
        return self._kept_apart(self._taken(*self.given), self.learned.before)

    def _given_again(self, splits: Any) -> tuple[Any, Any]:
        """What `fit` would have to be given for these parts."""
        return splits.train, splits.validation

    @abc.abstractmethod
    def predict(self, inputs: Any = None) -> Any:
        """Answers for new inputs, or for those that were set aside."""

    @abc.abstractmethod
    def _print_predictions(self, options: Any, as_json: bool) -> None:
        """Prints what `rnnapps predict` answers to its options."""

    @abc.abstractmethod
    def serving_spec(self) -> ExportSpec:
        """What an export answers."""

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
        callbacks: Sequence[keras.callbacks.Callback] = (),
        *,
        labels: Any = None,
        sources: Any = None,
        targets: Any = None,
    ) -> Self:
        """Trains the model.

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
            if run_dir is None:
                state_dir = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
            else:
                run_dir = pathlib.Path(run_dir).resolve()
                check_free(run_dir, self.name)
                stack.enter_context(enough_space(run_dir.parent))
                state_dir = stack.enter_context(state_of(run_dir))
                keep_to_settings(self.name, self.config, state_dir)
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
        self,
        train: Any,
        validation: Any,
        state_dir: pathlib.Path,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> None:
        self.model, self.history, self.metrics, self.run_dir = None, [], {}, None  # an earlier one
        if isinstance(self.config, VectorOptions):
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

    def learn(
        self, splits: Any, state_dir: pathlib.Path, callbacks: Sequence[keras.callbacks.Callback]
    ) -> None:
        """Trains the model on parts, and measures it on their validation part.

        Args:
            splits: The parts.
            state_dir: Where the state of the training is kept.
            callbacks: Keras callbacks.
        """
        began, clock = time.monotonic(), EpochSeconds()
        say([*splits.said, *splits.notes])
        self.info = self.info.model_copy(
            update={
                "fingerprint": self._fingerprint(splits),
                "sizes": getattr(splits, "sizes", {}),  # others' applications may have none
                "lineage": lineage(self.config.init_from),
                "notes": list(splits.notes),
                "versions": installed_versions(),
            }
        )
        self.learned = Learned(hashes(self._keys(splits)), self.learned.before)
        keep_to_data(self.info.fingerprint, state_dir)
        for name, path in getattr(self.config, "vector_files", {}).items():
            keep_to_data(checksum(path), state_dir, name)
        self._fit(splits, state_dir, [*callbacks, clock])
        if found := self._evaluate(splits, "validation"):  # there may be no such part
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

        The network goes on from the weights that it has, on the old data and the new together. What
        it answers to the old validation part decides.

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
            RunError: If the old data is no longer what the model learned from.
            DataError: If the new data cannot be read, or does not go on from the old.
        """
        return update(self, new, run_dir, tolerance, epochs)

    def _start(
        self, network: keras.layers.Layer, rows: Mapping[str, Rows], number: int = 0
    ) -> None:
        """Gives a network the weights of the run that it is to start from, if any.

        Args:
            network: The network, which is not compiled yet.
            rows: What the rows of its weights stand for.
            number: Which of several networks it is: each starts from that of its number.

        Raises:
            RunError: If nothing fits.
        """
        if self.config.init_from is None:
            return
        source = load(self.config.init_from)
        other = source.networks[number % len(source.networks)]
        said = transfer(network, other, rows, source._rows())
        if not number:  # of the others there is no more to say
            self.info.notes.append(f"started from {self.config.init_from}: {said}")
            say(self.info.notes[-1:])

    def evaluate(
        self, test: Any = None, metrics: Mapping[str, Metric] | None = None, **options: Any
    ) -> dict[str, Any]:
        """Measures the model, and the baselines beside it.

        The run directory, where there is one, gets the metrics and their figures too.

        Args:
            test: Test data in the form that `fit` takes; `None` for the configuration's test part,
                or for the validation part that `fit` was given.
            metrics: Metrics of your own by name: functions from what is true and what was predicted
                to a number. docs/metrics.md says what an application gives them.
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

    def _set_aside(self) -> Any:
        """The data whose test part is measured on, or answered, where a person gives none.

        Raises:
            DataError: If `fit` was given data, and no part of it was set aside.
            RunError: If there is no model, or the configuration's data is not what it learned from.
        """
        _ = self.model  # there has to be one
        if self.info.source != GIVEN:
            with working("reading the data"):
                return self._trained_on()
        test = self.given[0] if self.divides else self.given[1]
        if test is None:
            raise DataError(
                "Expected test data, or inputs to answer, as this model learned from what fit() "
                "was given, without validation=. Received: None."
            )
        return self._kept_apart(self._read(test), self.learned.before)

    def _read(self, test: Any) -> Any:
        with working("reading the data"):
            return self._load(test=test)

    def _trained_on(self) -> Any:
        """The configuration's data, if it still is what the model was trained on.

        Raises:
            RunError: If it is not: its test part may hold what the model has learned.
        """
        splits = self._kept_apart(self._taken(), self.learned.before)
        for source in self.info.added:
            splits = self._joined(splits, self._added(pathlib.Path(source), splits))
        if self._fingerprint(splits) != self.info.fingerprint:
            raise RunError(
                f"This run did not learn from {self.config.data} as it is now, whose test part may "
                "hold what it was trained on; train again, or give test data to app.evaluate()."
            )
        return splits

    def _keep_metrics(self, found: dict[str, Any], run_dir: pathlib.Path) -> None:
        """Adds the test part's metrics and their figures to the run."""
        there = RunInfo.read(run_dir)
        if there and there.checksums.get("model.keras") != self.info.checksums["model.keras"]:
            raise RunError(f"{run_dir} holds another run by now; load it again to measure it.")
        kept = {name: sums for name, sums in self.info.checksums.items() if name in STAYS}
        with draft_of(run_dir) as draft:
            self._write_metrics(draft)
            self._plot(found, draft / "figures")
            info = self.info.model_copy(update={"checksums": kept})
            self.info = put_in_place(draft, run_dir, info)

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
        if precision not in ("float32", NARROW):
            raise ConfigError(
                f"Expected --precision to be float32 or {NARROW}. Received: {precision!r}."
            )
        narrow, spec, model_card = precision == NARROW, self.serving_spec(), self.model_card()
        if narrow:
            model_card["precision"] = {
                "weights": precision,
                **self._cost_of_rounding(spec.compiled_methods),
            }
        tolerance = NEAR if self.config.precision == "float32" else ROUGH
        with working("exporting"):
            return publish(model_dir, spec, model_card, xla, narrow, tolerance if xla else EXACT)

    def _cost_of_rounding(self, core: Sequence[Callable]) -> dict[str, Any]:
        """The objectives on the validation part with float32 weights and with narrow ones."""
        try:
            splits = self._trained_on()
            before = self._evaluate(splits, "validation")
            with rounded(core):
                after = self._evaluate(splits, "validation")
        except RnnappsError as error:  # the data is gone, or was never in the configuration
            return {"unknown": str(error)}
        pairs = {name: [before[name], after[name]] for name in self.objectives if name in before}
        return {"validation": pairs}

    def model_card(self) -> dict[str, Any]:
        """What an export's `model_card.json` says: whose model it is, of what data, how good."""
        return {
            "application": self.name,
            "data": self.info.source,
            "lineage": self.info.lineage,
            "configuration": self.config.to_dict(),
            "metrics": _numbers(self.metrics),
        }

    def save(self, run_dir: pathlib.Path | str) -> None:
        """Writes the run: its configuration, model, history, metrics and figures.

        Args:
            run_dir: The folder; it appears whole or not at all, and replaces an earlier run of the
                same application, whose files it takes away; other files stay.

        Raises:
            RunError: If the folder holds anything else.
        """
        model, run_dir = self.model, pathlib.Path(run_dir).resolve()
        check_free(run_dir, self.name)
        with draft_of(run_dir) as draft:
            write_settings(draft / "config.toml", self.name, self.config)
            model.save(draft / "model.keras")
            pd.DataFrame(self.history).to_csv(draft / "history.csv", index=False)
            self._write_metrics(draft)
            self.learned.write(draft)
            figures.learning_curves(self.history, draft / "figures" / "learning_curves.png")
            info = self.info.model_copy(update={"checksums": {}})
            self.info = put_in_place(draft, run_dir, info)
        self.run_dir = run_dir

    @classmethod
    def load(cls, run_dir: pathlib.Path | str) -> Self:
        """Reads a run.

        Args:
            run_dir: The folder that `save` wrote.

        Returns:
            The application, ready to predict.

        Raises:
            RunError: If the folder holds no run, or another application's, or one of its files
                is missing, damaged or unsafe.
        """
        run_dir = pathlib.Path(run_dir).resolve()
        settings = read_run(run_dir)
        if settings.pop("application") != cls.name:
            raise RunError(f"{run_dir} does not hold a run of {cls.name}; use rnnapps.load.")
        info = RunInfo.read(run_dir)
        if info:
            info.check(run_dir)
            settings = info.located(settings)
        try:
            app = cls(cls.config_class.of_run(settings))
        except ConfigError as error:
            raise RunError(f"{run_dir / 'config.toml'} is damaged: {error}") from None
        app.metrics = read_json(run_dir / "metrics.json")
        app.info = info or RunInfo.of_metrics(app.metrics, run_dir)
        app.history = read_file(pd.read_csv, run_dir / "history.csv").to_dict("records")
        read_model = functools.partial(keras.models.load_model, compile=False)
        app.model = read_file(read_model, run_dir / "model.keras")
        app.learned = read_file(Learned.read, run_dir)
        app.run_dir = run_dir
        return app

    def _write_metrics(self, folder: pathlib.Path) -> None:
        write(folder / "metrics.json", json.dumps(self.metrics, indent=2) + "\n")


def _numbers(found: dict[str, Any]) -> dict[str, Any]:
    """The numbers of nested metrics, without lists and texts, which may quote the test part."""
    kept = {key: _numbers(v) if isinstance(v, dict) else v for key, v in found.items()}
    return {key: v for key, v in kept.items() if isinstance(v, dict | float | int)}


def agreed(config: TrainingConfig, name: str) -> TrainingConfig:
    """A configuration whose network is that of the run which it starts from.

    Args:
        config: The configuration; what it leaves open is as in the run that `init_from` names.
        name: The application.

    Returns:
        The configuration, as it is where it starts from no run.

    Raises:
        RunError: If there is no such run, or it is another application's.
        ConfigError: If the two contradict each other.
    """
    run = config.init_from
    if run is None:
        return config
    other = read_run(run)["application"]
    if other != name:
        raise RunError(f"Expected --init-from to be a run of {name}. Received: {run}, of {other}.")
    settled = load(run)._settled()
    for field, value in settled.items():
        mine = getattr(config, field)
        if field in config.model_fields_set and mine != value:
            raise ConfigError(
                f"Expected {flag(field)} to be {value!r}, as in {run} (--init-from), or not to be "
                f"set. Received: {mine!r}."
            )
    return type(config)(**{**config.model_dump(exclude_unset=True), **settled})


def load(run_dir: pathlib.Path | str) -> Application:
    """Reads a run of any application.

    Args:
        run_dir: The folder that `save` or `rnnapps train` wrote.

    Returns:
        The application, ready to predict.

    Raises:
        RunError: If the folder holds no run.
    """
    return application_class(read_run(run_dir)["application"]).load(run_dir)
