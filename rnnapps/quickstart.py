"""The whole path in two minutes: train, evaluate, export, ask."""

from pathlib import Path

import tensorflow as tf
from rich.console import Console

from rnnapps.apps.sentiment.app import SentimentClassifier
from rnnapps.report import show, show_predictions

QUESTIONS = (
    "although the acting was superb , the plot was tedious",
    "the trailer made me think that the humour would be silly , but the cast was never dull",
    "it would be wrong to call the ending charming",
)


def quickstart(run_dir: Path, model_dir: Path) -> None:
    """Trains a sentiment classifier on the embedded sample and asks its SavedModel.

    Args:
        run_dir: Where the run is kept; an earlier quickstart there is replaced.
        model_dir: Where the SavedModel goes.
    """
    console = Console()
    console.rule("1  train on the embedded sample")
    app = SentimentClassifier(
        epochs=6, embedding_dim=64, units=64, learning_rate=3e-3, word_dropout=0.0
    )
    app.fit(run_dir=run_dir)
    console.rule("2  evaluate on its test part")
    show(app.evaluate(), False, f"{run_dir}: test part")
    console.rule("3  export")
    version = app.export(model_dir)
    console.print(f"{version}: a SavedModel for TF Serving")
    console.rule("4  ask the export")
    answer = tf.saved_model.load(str(version)).signatures["serving_default"]
    found = answer(text=tf.constant(QUESTIONS))
    answers = [
        {"label": label.decode(), "probability": float(probability)}
        for label, probability in zip(
            found["label"].numpy(), found["probability"].numpy(), strict=True
        )
    ]
    show_predictions(QUESTIONS, answers, False)
    console.rule("next")
    console.print(
        f"rnnapps predict {run_dir} 'the score was anything but stale'\n"
        "rnnapps train sentiment --data reviews.csv --text-column text --label-column label",
        markup=False,
        highlight=False,
    )
