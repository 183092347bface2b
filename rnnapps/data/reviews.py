"""The embedded sample: short reviews whose label depends on the order of their words."""

import random

_SUBJECTS = (
    "the acting", "the plot", "the score", "the dialogue", "the ending", "the camera work",
    "the first half", "the villain", "the humour", "the pacing", "the cast", "the script",
)  # fmt: skip
_ADJECTIVES = {
    True: ("superb", "charming", "clever", "moving", "gripping", "fresh", "funny", "brilliant"),
    False: ("dull", "clumsy", "tedious", "shallow", "awful", "stale", "silly", "painful"),
}
# {a} is an adjective that holds of the subject {s}.
_PLAIN = ("{s} was {a}", "{s} was really {a}", "{s} seemed {a} to me", "i found {s} {a}")
# {a} is an adjective that, so said, does not hold.
_NEGATED = (
    "{s} was not {a}", "{s} was never {a}", "{s} was not what i would call {a}",
    "nobody could say that {s} was {a}", "there was nothing in {s} that i found {a}",
    "it would be wrong to call {s} {a}", "{s} was anything but {a}",
)  # fmt: skip
# What others thought or the writer feared decides nothing: {a} may be either.
_HEDGES = (
    "i had expected {s} to be {a}", "my friend said that {s} was {a}",
    "the trailer made me think that {s} would be {a}", "i had read that {s} was {a}",
)  # fmt: skip
# Of two clauses the second decides, whichever word joins them.
_CONTRASTS = (
    "{first} , but {last}", "although {first} , {last}", "{first} . still , {last}",
    "{first} ; in the end {last}", "even if {first} , {last}",
)  # fmt: skip
_OPENINGS = ("", "", "a film from last year . ", "seen on a long flight . ", "so , this one : ")
_CLOSINGS = (" .", " !", " . that is all .", " , i must say .", " <br /> end of review .")


def make_reviews(count: int = 6000, seed: int = 0) -> tuple[list[str], list[str]]:
    """Generates short film reviews that a bag of words cannot judge.

    Negation turns an adjective round from a distance, hearsay decides nothing, and of two
    contrasted clauses the last one wins; so the same words in another order have the other label.

    Args:
        count: Number of reviews.
        seed: Seed of the generator; the same seed makes the same reviews.

    Returns:
        The texts and their labels, `"positive"` or `"negative"`, half of each.
    """
    rng = random.Random(seed)
    texts, labels = [], []
    for i in range(count):
        positive = i % 2 == 0
        body = _clause(rng, positive)
        if rng.random() < 0.7:
            # The other clause leans the other way, or says what others thought.
            other = _clause(rng, not positive) if rng.random() < 0.7 else _hedge(rng)
            body = rng.choice(_CONTRASTS).format(first=other, last=body)
        texts.append(rng.choice(_OPENINGS) + body + rng.choice(_CLOSINGS))
        labels.append("positive" if positive else "negative")
    return texts, labels


def _clause(rng: random.Random, positive: bool) -> str:
    negated = rng.random() < 0.5
    pattern = rng.choice(_NEGATED if negated else _PLAIN)
    adjective = rng.choice(_ADJECTIVES[positive != negated])
    return pattern.format(s=rng.choice(_SUBJECTS), a=adjective)


def _hedge(rng: random.Random) -> str:
    adjective = rng.choice(_ADJECTIVES[rng.random() < 0.5])
    return rng.choice(_HEDGES).format(s=rng.choice(_SUBJECTS), a=adjective)
