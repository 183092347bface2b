"""The embedded sample: sentences in which a word is a name or none, by what stands around it."""

import random

_BOTH = ("Jordan", "Georgia", "Florence", "Austin", "Madison", "Victoria", "Chelsea", "Lincoln",
         "Sydney", "Washington", "Paris", "Charlotte")  # fmt: skip
_PEOPLE_OR_FIRMS = ("Ford", "Morgan", "Disney", "Hershey", "Siemens", "Boeing", "Wells", "Marriott")
_PEOPLE_OR_NONE = ("May", "April", "June", "August", "Will", "Mark", "Rose", "Grace", "Bill", "Art")
_SURNAMES = ("Baker", "Hill", "Brooks", "Stone", "Young", "Price", "Rivers", "Field")
_TAILS = {"place": ("Springs", "Heights", "City"), "firm": ("Motors", "Group", "Brothers")}
# {x} is the word in question; what decides may stand some words away from it.
_PATTERNS = {
    "person": (
        "{x} said that the bridge was closed", "we met {x} near the old mill",
        "yesterday {x} , who had slept badly , missed the train", "{x} wrote a letter to the mayor",
        "nobody who had seen {x} that morning would have believed her",
        "the children gave {x} a book about boats", "in the end {x} agreed and shook hands",
        "when the rain began , {x} opened her umbrella",
    ),
    "place": (
        "{x} lies between two rivers", "we flew to {x} on a Monday",
        "yesterday {x} , which had been flooded , was without power",
        "{x} is a town of nine thousand people",
        "nobody who had seen {x} that morning would have lived there",
        "the roads of {x} are closed to lorries", "in the end {x} was rebuilt on higher ground",
        "when the rain began , {x} was already under water",
    ),
    "firm": (
        "{x} sold its shares at a loss", "she works for {x} as a clerk",
        "yesterday {x} , whose profits had fallen , closed two plants",
        "{x} makes engines and hires engineers",
        "nobody who had seen {x} that morning would have bought its shares",
        "the shareholders of {x} voted against it", "in the end {x} went bankrupt",
        "when the rain began , {x} closed its plants",
    ),
}  # fmt: skip
_NONE = (
    ("May", "April", "June", "August"),
    ("we moved house in {x}", "{x} was dry and warm this year", "the fair opens every {x}",
     "nobody who had seen {x} that morning would have known it for a month"),
    ("Will", "Mark"),
    ("{x} the bridge be closed again ?", "{x} my words , said the clerk"),
    ("Rose", "Grace"),
    ("{x} petals fell on the table", "{x} is what her dancing lacks"),
    ("Bill", "Art"),
    ("{x} and receipt were lost in the post", "{x} is long , said the clerk"),
)  # fmt: skip
_ENDS = (" .", " .", " !", " , they say .")


def make_names(count: int = 4000, seed: int = 0) -> tuple[list[list[str]], list[list[str]]]:
    """Generates sentences in which the same word is a person, a place, a firm or none of them.

    A list of names cannot tell which: each word is used in at least two ways.

    Args:
        count: Number of sentences.
        seed: Seed of the generator; the same seed makes the same sentences.

    Returns:
        The tokens of each sentence, and their tags (IOB2).
    """
    rng = random.Random(seed)
    tokens, tags = [], []
    for _ in range(count):
        words, labels = _sentence(rng)
        tokens.append(words)
        tags.append(labels)
    return tokens, tags


def _sentence(rng: random.Random) -> tuple[list[str], list[str]]:
    kind = rng.choice(("person", "person", "place", "firm", "none"))
    if kind == "none":
        group = 2 * rng.randrange(len(_NONE) // 2)
        name, pattern = [rng.choice(_NONE[group])], rng.choice(_NONE[group + 1])
    else:
        both = {"person": _BOTH + _PEOPLE_OR_FIRMS + _PEOPLE_OR_NONE, "place": _BOTH,
                "firm": _PEOPLE_OR_FIRMS}[kind]  # fmt: skip
        name, pattern = [rng.choice(both)], rng.choice(_PATTERNS[kind])
        if rng.random() < 0.3:
            name.append(rng.choice(_TAILS.get(kind, _SURNAMES)))
    words, labels = [], []
    for word in (pattern + rng.choice(_ENDS)).split():
        if word == "{x}":
            words += name
            labels += ["O"] * len(name) if kind == "none" else [f"B-{kind}"]
            labels += [f"I-{kind}"] * (len(name) - 1) if kind != "none" else []
        else:
            words.append(word)
            labels.append("O")
    words[0] = words[0][0].upper() + words[0][1:]
    return words, labels
