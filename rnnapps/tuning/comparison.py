"""Compares several settings on your data, with equal trainings, and what each costs."""

import itertools
import json
import pathlib
import statistics
import tempfile
import time
from collections.abc import Mapping
from typing import Any

import pandas as pd

from rnnapps.apps import application_class
from rnnapps.apps.application import Application, agreed
from rnnapps.config import TrainingConfig, TuneChoice
from rnnapps.errors import ConfigError
from rnnapps.files import enough_space, write
from rnnapps.serving.export.saved_model import load as load_export
from rnnapps.tuning.contenders import report
from rnnapps.tuning.hypermodel import HyperApplication
from rnnapps.tuning.options import CompareOptions, parse_duration
from rnnapps.tuning.oracles import Budget, GridOracle
from rnnapps.tuning.project import one_search, undone_by_mistakes
from rnnapps.tuning.search import make_objective, manifest_of, most_epochs, search
from rnnapps.tuning.space import parse_ranges

_UNTIL_TIME_IS_UP = 1000  # epochs
_REQUESTS = 20


def compare(
    application: str,
    ranges: Mapping[str, str],
    *,
    time_per_run: str | None = None,
    seeds: int = 3,
    objective: str | None = None,
    project_dir: pathlib.Path | str = CompareOptions.project_dir,
    train: Any = None,
    validation: Any = None,
    **settings: Any,
) -> pd.DataFrame:
    """Compares the quality and cost of different settings.

    Every combination is trained on the same data, with the same seeds, for the same time or number
    of epochs, and evaluated on the validation set. Called again with the same folder, an
    interrupted comparison resumes. The folder also gets `compare.csv`, `compare.md` and a figure.

    Args:
        application: The application's name.
        ranges: The values of one or more settings: `{"cell": "lstm,gru"}`. All combinations
            are compared.
        time_per_run: Training time of each run: `"90s"`, `"5m"`. `None` for the configuration's
            epochs.
        seeds: Number of runs per combination.
        objective: The metric; `None` for the application's main metric.
        project_dir: Folder of the comparison.
        train: Your own examples, as for the application's `fit`; `None` for the configuration's
            data.
        validation: Validation examples; `None` for a part of `train`.
        **settings: The application's other settings.

    Returns:
        A row for each combination, the best first: the settings' values; the metric's mean and
        standard deviation over the seeds; `parameters`, `epochs`, `seconds`, `rows_a_second` of its
        training, `latency_ms` of one request to its export, and `export_mb`.

    Raises:
        ConfigError: If a setting cannot be compared, or a value is invalid.
        RunError: If the folder holds something else, such as a comparison with other ranges or
            data.

    Example:
    >>> texts = [f"{how} it {i}" for i in range(40) for how in ("liked", "hated")]
    >>> train = texts, ["positive", "negative"] * 40
    >>> found = compare("sentiment", {"units": "2,4"}, seeds=1, train=train, epochs=1, ngrams=0)
    >>> sorted(found.units)
    [2, 4]
    """
    options = CompareOptions(
        range=tuple(f"{name}={text}" for name, text in ranges.items()),
        time_per_run=time_per_run,
        seeds=seeds,
        objective=objective,
        project_dir=pathlib.Path(project_dir),
    )
    config = application_class(application).config_class(**settings)
    run_comparison(application, config, options, train, validation)
    return report(options.project_dir)


def run_comparison(
    name: str,
    config: TrainingConfig,
    options: CompareOptions,
    train: Any = None,
    validation: Any = None,
) -> None:
    """Trains all combinations, and measures the cost of each.

    Args:
        name: The application.
        config: Its configuration; settings that are not compared keep their values.
        options: The options of `rnnapps compare`.
        train: Examples as for `fit`; `None` for the configuration's data.
        validation: Validation examples.

    Raises:
        ConfigError: If a setting cannot be compared, or a value is invalid.
        RunError: If the folder holds something else.
    """
    config = agreed(config, name)
    seconds = parse_duration(options.time_per_run, "--time-per-run")
    ranges = parse_ranges(options.range)
    hypermodel = HyperApplication(
        config, (), ranges, train, validation, application_class(name), seconds
    )
    for field, text in ranges.items():
        if not isinstance(hypermodel.space[field], TuneChoice):
            raise ConfigError(
                f"Expected --range {field}= to list values with commas between them. Received: "
                f"{text!r}."
            )
    seeds = tuple(range(config.seed, config.seed + options.seeds))
    hypermodel.space = {"seed": TuneChoice(seeds), **hypermodel.space}
    objective = make_objective(name, options.objective)
    epochs = most_epochs(config, None)
    if seconds is not None and "epochs" not in config.model_fields_set:
        epochs = _UNTIL_TIME_IS_UP
    manifest = manifest_of(name, hypermodel, "grid", objective, epochs)
    manifest["time_per_run"] = options.time_per_run
    project = options.project_dir.resolve()
    with (
        enough_space(project.parent),
        undone_by_mistakes(project),
        one_search(project, manifest),
    ):
        budget = Budget(None, project / "seconds")
        grid = _combinations(hypermodel.space)
        search(hypermodel, GridOracle(grid, objective, config.seed, budget), project, epochs)
        for folder in sorted(project.glob("trial_*")):
            if (folder / "result.json").exists() and not (folder / "cost.json").exists():
                cost = measure_cost(application_class(name).load(folder / "run"))
                write(folder / "cost.json", json.dumps(cost))


def _combinations(space: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The values of each trial: all combinations with the first seed, then with the next."""
    values = [choice.values for choice in space.values()]
    return [dict(zip(space, one, strict=True)) for one in itertools.product(*values)]


def measure_cost(app: Application) -> dict[str, float]:
    """The inference cost of a trained application.

    Args:
        app: The application.

    Returns:
        `parameters` of the network; `latency_ms`, the median latency of the export's example
        request; and `export_mb`, the export's size.
    """
    request = app.serving_spec().signatures["serving_default"].request
    with tempfile.TemporaryDirectory() as folder:
        version = app.export(pathlib.Path(folder, "model"))
        size = sum(path.stat().st_size for path in version.rglob("*") if path.is_file())
        answer = load_export(version).signatures["serving_default"]
        answer(**request)  # traces, allocates
        times = []
        for _ in range(_REQUESTS):
            began = time.perf_counter()
            answer(**request)
            times.append(time.perf_counter() - began)
    return {
        "parameters": app.network.count_params(),
        "latency_ms": round(1e3 * statistics.median(times), 3),
        "export_mb": round(size / 1e6, 3),
    }
