"""Baselines: each token's most frequent tag, and CRFsuite."""

import collections
import pathlib
import tempfile
from collections.abc import Sequence

from rnnapps.data import Tagged
from rnnapps.progress import tracked, working

Sentences = Sequence[Sequence[str]]


def baselines(train: Tagged | None, test: Sentences, quick: bool) -> dict[str, list[list[str]]]:
    """Tags sentences with the baselines.

    Args:
        train: The training sentences; `None` for no baselines.
        test: The sentences to tag.
        quick: Whether to skip slow baselines.

    Returns:
        The tags of each sentence, by baseline.
    """
    if train is None:
        return {}
    found = {"most frequent tag": most_frequent_tags(train.tokens, train.tags, test)}
    if not quick:
        with working("training the baselines"):
            found["CRFsuite"] = crfsuite(train.tokens, train.tags, test)
    return found


def most_frequent_tags(tokens: Sentences, tags: Sentences, test: Sentences) -> list[list[str]]:
    """Tags each token with its most frequent training tag, else with the most frequent of all.

    Args:
        tokens: The training sentences' tokens.
        tags: Their tags.
        test: The sentences to tag.

    Returns:
        The tags of each.
    """
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for words, labels in zip(tokens, tags, strict=True):
        for word, label in zip(words, labels, strict=True):
            counts[word][label] += 1
    best = {word: found.most_common(1)[0][0] for word, found in counts.items()}
    usual = collections.Counter(tag for labels in tags for tag in labels).most_common(1)[0][0]
    return [[best.get(word, usual) for word in words] for words in test]


def crfsuite(
    tokens: Sentences, tags: Sentences, test: Sentences, iterations: int = 100
) -> list[list[str]]:
    """Trains a CRF with handcrafted features, and tags sentences.

    Args:
        tokens: The training sentences' tokens.
        tags: Their tags.
        test: The sentences to tag.
        iterations: Maximum iterations of L-BFGS.

    Returns:
        The tags of each.
    """
    with tempfile.TemporaryDirectory() as folder:
        tagger = train_crfsuite(tokens, tags, pathlib.Path(folder) / "model", iterations)
        found = [tagger.tag(features(words)) for words in tracked(test, "sentences")]
        tagger.close()
    return found


def train_crfsuite(tokens: Sentences, tags: Sentences, path: pathlib.Path, iterations: int = 100):
    """Trains a CRF with handcrafted features by L-BFGS.

    Args:
        tokens: The training sentences' tokens.
        tags: Their tags.
        path: The model file to write.
        iterations: Maximum iterations of L-BFGS.

    Returns:
        A `pycrfsuite.Tagger` for the output of `features`.

    Reference:
        [Okazaki, 2007](http://www.chokkan.org/software/crfsuite/).
    """
    import pycrfsuite  # only needed for evaluation

    trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
    trainer.set_params(
        {"c1": 0.1, "c2": 0.1, "max_iterations": iterations,
         "feature.possible_transitions": True}
    )  # fmt: skip
    for words, labels in zip(tracked(tokens, "sentences"), tags, strict=True):
        trainer.append(features(words), labels)
    trainer.train(str(path))
    tagger = pycrfsuite.Tagger()
    tagger.open(str(path))
    return tagger


def features(words: Sequence[str]) -> list[list[str]]:
    """The usual features of each token.

    For the token: itself, lower case, prefixes and suffixes of 1 to 4 characters, shape (`Xxx` for
    Paris, `XX-dd` for AB-12), whether it is in title case, all capitals, a number, or hyphenated.
    For the two tokens on either side: lower case, shape, title case, capitals. Also bigrams with
    the neighbours, and the sentence boundaries.

    Args:
        words: A sentence's tokens.

    Returns:
        The feature names of each token.
    """
    lower, shapes = [word.lower() for word in words], [_shape(word) for word in words]
    found = []
    for i, word in enumerate(words):
        own = ["bias", f"word={word}", f"lower={lower[i]}", f"shape={shapes[i]}"]
        own += [f"prefix={word[:n]}" for n in range(1, 5) if n <= len(word)]
        own += [f"suffix={word[-n:]}" for n in range(1, 5) if n <= len(word)]
        own += [f"title={word.istitle()}", f"upper={word.isupper()}", f"digit={word.isdigit()}"]
        own += [f"hyphen={'-' in word}"]
        for step in (-2, -1, 1, 2):
            j = i + step
            if 0 <= j < len(words):
                own += [f"{step}:lower={lower[j]}", f"{step}:shape={shapes[j]}"]
                own += [f"{step}:title={words[j].istitle()}", f"{step}:upper={words[j].isupper()}"]
        own += [f"-1,0={lower[i - 1]}|{lower[i]}"] if i else ["begins"]
        own += [f"0,1={lower[i]}|{lower[i + 1]}"] if i + 1 < len(words) else ["ends"]
        found.append(own)
    return found


def _shape(word: str) -> str:
    """Capitals as X, letters as x, digits as d; runs of four and more are cut to three."""
    shape = ""
    for one in word:
        kind = "d" if one.isdigit() else "X" if one.isupper() else "x" if one.isalpha() else one
        if not shape.endswith(kind * 3):
            shape += kind
    return shape
