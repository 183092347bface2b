"""Baselines: linear classifiers on word pairs, by scikit-learn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from rnnapps.apps.sentiment.data import indices
from rnnapps.data import Examples, Splits, StoredTexts
from rnnapps.metrics import classification
from rnnapps.progress import say, tracked, working
from rnnapps.text import naive_bayes_ratios

_MOST = 2**26  # bytes of stored texts from which a baseline learns
_WORDS = {"analyzer": "word", "token_pattern": r"(?u)\b\w+\b|[^\w\s]"}
_CHARACTERS = {"analyzer": "char"}


def measure_baselines(
    splits: Splits[Examples], part: str, classes: Sequence[str], characters: bool = False
) -> dict[str, dict[str, Any]]:
    """Measures the baselines on a part: on the validation part the one that takes a moment.

    Args:
        splits: The parts; where there is none to learn from, there are no baselines.
        part: `"validation"` or `"test"`.
        classes: The classes' names.
        characters: Take pairs of characters, for scripts without spaces.

    Returns:
        The metrics of `rnnapps.metrics.classification` of each baseline, by its name.
    """
    if splits.train is None:
        return {}
    train, examples = splits.train, getattr(splits, part)
    known, labels = (
        indices(one.labels, classes, what) for one, what in ((train, "training"), (examples, part))
    )
    if part == "validation":
        found = {"most frequent class": most_frequent(known, len(classes), len(labels))}
    else:
        with working("training the baselines"):
            found = baselines(train.texts, known, examples.texts, characters)
    return {name: classification(labels, p, classes) for name, p in found.items()}


def baselines(
    texts: Sequence[str], labels: np.ndarray, test_texts: Sequence[str], characters: bool = False
) -> dict[str, np.ndarray]:
    """Trains the linear classifiers and predicts the test texts.

    Of stored texts they learn from every second, third or so of each class, where these are many.

    Args:
        texts: The training texts.
        labels: Their classes' indices `(texts,)`.
        test_texts: The texts to predict.
        characters: Take pairs of characters, for scripts without spaces.

    Returns:
        Probabilities `(test_texts, classes)` of each baseline, by its name.

    Reference:
        - [Wang and Manning, 2012](https://aclanthology.org/P12-2018/) for the naive Bayes ratios.
    """
    if isinstance(texts, StoredTexts) and (step := -(-int(texts.sizes.sum()) // _MOST)) > 1:
        kept = [np.flatnonzero(labels == c)[::step] for c in np.unique(labels)]
        rows = np.sort(np.concatenate(kept))
        texts, labels = texts.take(rows), labels[rows]
        say([f"the baselines learn from one text in {step}"])
    options = {**(_CHARACTERS if characters else _WORDS), "ngram_range": (1, 2)}
    options["min_df"] = 2 if len(texts) > 1000 else 1
    tfidf = TfidfVectorizer(sublinear_tf=True, **options)
    weighted, test_weighted = tfidf.fit_transform(texts), tfidf.transform(test_texts)
    binary = CountVectorizer(binary=True, **options)
    seen, test_seen = binary.fit_transform(texts), binary.transform(test_texts)
    classes = np.unique(labels)
    return {
        "TF-IDF + logistic regression": one_against_rest(
            [(weighted, labels == c, test_weighted) for c in classes], strength=10.0
        ),
        "NB-SVM (logistic)": one_against_rest(
            [naive_bayes_scaled(seen, labels == c, test_seen) for c in classes], strength=0.1
        ),
    }


def most_frequent(labels: np.ndarray, classes: int, count: int) -> np.ndarray:
    """The share of each class in training, whatever the text `(count, classes)`."""
    shares = np.bincount(labels, minlength=classes) / len(labels)
    return np.tile(shares, (count, 1))


def naive_bayes_scaled(seen, mine: np.ndarray, test_seen) -> tuple:
    """Scales each n-gram by the logarithm of how much likelier it is in one class."""
    scale = scipy.sparse.diags(naive_bayes_ratios(seen, mine))
    return seen @ scale, mine, test_seen @ scale


def one_against_rest(problems: list[tuple], strength: float) -> np.ndarray:
    """Solves a yes-or-no problem for each class; the shares of their odds are probabilities."""
    if len(problems) == 2:  # the first is the second's mirror image
        problems = problems[1:]
    columns = []
    for features, mine, test_features in tracked(problems, "classes"):
        solver = LogisticRegression(
            C=strength, solver="liblinear", dual=True, tol=1e-2, random_state=0
        )
        columns.append(solver.fit(features, mine).predict_proba(test_features)[:, 1])
    if len(columns) == 1:
        columns = [1 - columns[0], columns[0]]
    probabilities = np.stack(columns, axis=1)
    return probabilities / probabilities.sum(axis=1, keepdims=True)
