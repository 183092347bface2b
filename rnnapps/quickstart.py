"""The whole path, for all applications: train, evaluate, export, query the export."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from rich.console import Console
from rich.table import Table

from rnnapps.apps import application_class
from rnnapps.apps.application import Application
from rnnapps.apps.forecasting.ahead import prediction_inputs
from rnnapps.apps.forecasting.data import load_series
from rnnapps.data import make_reviews
from rnnapps.serving.export.saved_model import load
from rnnapps.spans import tokens_answered


@dataclasses.dataclass(frozen=True)
class Stage:
    """One application, trained on embedded data.

    Args:
        application: Its name.
        settings: The fields of its configuration.
        metric: What is shown of its measures.
        ask: Asks a signature of its export, and says what was asked and answered.
        write: Writes the data into a folder, and names the file; `None` for the embedded sample.
    """

    application: str
    settings: dict[str, Any]
    metric: str
    ask: Callable[[Application, Callable], str]
    write: Callable[[Path], Path] | None = None


def _judge(app: Application, ask: Callable) -> str:
    text = "although the acting was superb , the plot was tedious"
    found = ask(text=tf.constant([text]))
    label, probability = found["label"].numpy()[0].decode(), found["probability"].numpy()[0]
    return f"{text!r} is {label} ({probability:.3f})"


def _reviews(folder: Path) -> Path:
    """The first stage's reviews as one text: your own text file, as far as chargen knows."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "reviews.txt"
    path.write_text("".join(f"{review}\n" for review in make_reviews()[0]), "utf-8")
    return path


def _go_on(app: Application, ask: Callable) -> str:
    prompt = "although the acting was "
    text = ask(prompt=tf.constant([prompt]))["text"].numpy()[0].decode()
    return "\n".join((prompt + text).splitlines()[:4])


def _translate(app: Application, ask: Callable) -> str:
    text = "le 3 mars 2021 à 14 h 05"
    found = ask(text=tf.constant([text]))["translation"].numpy()[0].decode()
    return f"{text!r} is {found!r}"


def _forecast(app: Application, ask: Callable) -> str:
    history, future, times = prediction_inputs(load_series(app.config), app.task, "the sample")
    inputs = {"history": history, "future_covariates": future}
    found = ask(**{name: tf.constant(values, tf.float32) for name, values in inputs.items()})
    values = " ".join(f"{value:.0f}" for value in found["forecast"].numpy()[0, :, 0])
    return f"the {app.task.columns.targets[0]} from {times[0][0]:%Y-%m-%d %H:%M} on: {values}"


def _find_names(app: Application, ask: Callable) -> str:
    text = "We met Jordan Baker near the old mill ."
    row = {name: values.numpy()[0] for name, values in ask(text=tf.constant([text])).items()}
    found = tokens_answered(row)["spans"]
    names = [f"{text[span['start'] : span['end']]!r} ({span['label']})" for span in found]
    return f"in {text!r}: {', '.join(names) or 'no name'}"


STAGES = (
    Stage(
        "sentiment",
        {
            "epochs": 5, "embedding_dim": 64, "units": 64, "learning_rate": 3e-3,
            "word_dropout": 0.0, "pooling": "attention",
        },
        "accuracy",
        _judge,
    ),
    Stage(
        "chargen",
        {
            "epochs": 3, "units": 128, "layers": 1, "batch_size": 16, "window": 64,
            "learning_rate": 5e-3, "dropout": 0.0,
        },
        "bits_per_character",
        _go_on,
        _reviews,
    ),
    Stage(
        "translation",
        {
            "epochs": 4, "tokenizer": "character", "embedding_dim": 48, "units": 96,
            "learning_rate": 6e-3, "dropout": 0.0, "hidden_dropout": 0.1, "label_smoothing": 0.0,
            "average": 1, "beam_width": 3,
        },
        "bleu",
        _translate,
    ),
    Stage(
        "forecasting",
        {
            "epochs": 4, "units": 64, "lookback": 336, "segment": 24, "linear": True,
            "dropout": 0.1, "calendar": ("weekday",),
        },
        "mae",
        _forecast,
    ),
    Stage(
        "tagging",
        {
            "epochs": 3, "embedding_dim": 48, "units": 48, "character_units": 16,
            "learning_rate": 1e-2, "dropout": 0.2,
        },
        "f1",
        _find_names,
    ),
)  # fmt: skip


def quickstart(run_dir: Path, model_dir: Path, stages: tuple[Stage, ...] = STAGES) -> None:
    """Trains each application on embedded data, and asks its SavedModel a question.

    Args:
        run_dir: Where the runs are kept, a folder each; an earlier quickstart there is replaced.
        model_dir: Where the SavedModels go, a folder each.
        stages: What is to be run.
    """
    console = Console(highlight=False)
    table = Table("application", "metric", "rnnapps", "best baseline", "seconds")
    table.add_column("export", no_wrap=True)
    table.caption, table.caption_justify = f"The exports are in {model_dir}.", "left"
    for number, stage in enumerate(stages, 1):
        name, began = stage.application, time.monotonic()
        console.rule(f"{number} of {len(stages)}  {name}")
        data = {"data": str(stage.write(run_dir))} if stage.write else {}
        app = application_class(name)(**stage.settings, **data).fit(run_dir=run_dir / name)
        found = app.evaluate()
        version = app.export(model_dir / name)
        ask = load(version).signatures["serving_default"]
        said = f"{version} says:\n{stage.ask(app, ask)}"
        console.print(said, markup=False, soft_wrap=True)
        better = max if app.objectives[stage.metric] == "max" else min
        scores = {one: found["baselines"][one][stage.metric] for one in found["baselines"]}
        for other in ("noise alone", "network alone"):  # a bound, and a part of the forecaster
            scores.pop(other, None)
        best = better(scores, key=scores.get)
        table.add_row(
            name, stage.metric.replace("_", " "), f"{found[stage.metric]:.3f}",
            f"{scores[best]:.3f} ({best})", f"{time.monotonic() - began:.0f}",
            str(version.relative_to(model_dir)),
        )  # fmt: skip
    console.rule("test parts")
    console.print(table)
    console.print(
        f"next:\nrnnapps predict {run_dir}/sentiment 'the score was anything but stale'\n"
        "rnnapps train sentiment --data reviews.csv --text-column text --label-column label\n"
        "rnnapps new sentiment my_app",
        markup=False,
        soft_wrap=True,
    )
