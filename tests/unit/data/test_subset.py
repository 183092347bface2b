"""A share of the data: of each part the same, drawn by the seed, and nothing else."""

import pandas as pd
import pytest

from rnnapps.config import TrainingConfig
from rnnapps.data import Columns, Examples, Splits, read_series
from rnnapps.data.subset import fewer, fewer_series

PARTS = {"train": 800, "validation": 100, "test": 100}
SPLITS = Splits(
    **{
        name: Examples([f"{name} {i}" for i in range(size)], [str(i % 2) for i in range(size)])
        for name, size in PARTS.items()
    },
    said=("read",),
)


def texts(splits):
    return {name: getattr(splits, name).texts for name in PARTS}


@pytest.mark.parametrize(
    ("settings", "sizes"),
    [
        ({"fraction": 0.1}, (80, 10, 10)),
        ({"max_examples": 500}, (400, 50, 50)),
        ({"fraction": 0.1, "max_examples": 500}, (80, 10, 10)),
        ({"max_examples": 1}, (1, 1, 1)),
    ],
)
def test_each_part_gives_the_same_share(settings, sizes):
    found = fewer(SPLITS, TrainingConfig(**settings))
    for (name, some), size in zip(texts(found).items(), sizes, strict=True):
        every = getattr(SPLITS, name).texts
        assert len(some) == size
        assert some == [text for text in every if text in set(some)]  # in their order, each once
        labels = dict(zip(every, getattr(SPLITS, name).labels, strict=True))
        assert getattr(found, name).labels == [labels[text] for text in some]
    total = sum(sizes)
    line = f"taken: {total} of 1,000 examples (train {sizes[0]}, validation {sizes[1]}, test"
    assert found.said[0] == "read" and found.said[1].startswith(line)


def test_the_seed_draws_them():
    one, again, other = (
        texts(fewer(SPLITS, TrainingConfig(fraction=0.5, seed=seed))) for seed in (1, 1, 2)
    )
    assert one == again != other
    assert max(int(text.split()[1]) for text in one["train"]) > 700  # not the first half


@pytest.mark.parametrize("settings", [{}, {"max_examples": 1000}, {"max_examples": 10**9}])
def test_all_of_the_data_is_as_it_is(settings):
    assert fewer(SPLITS, TrainingConfig(**settings)) is SPLITS


def test_parts_that_are_not_there_stay_so():
    found = fewer(Splits(test=SPLITS.test), TrainingConfig(fraction=0.5))
    assert (found.train, found.validation, len(found.test)) == (None, None, 50)


def test_a_text_keeps_what_stands_together():
    parts = Splits("abcdefghij", "", "0123456789")
    found = fewer(parts, TrainingConfig(fraction=0.3), in_order=True)
    assert (found.train, found.validation, found.test) == ("abc", "", "012")


def table(names):
    times = pd.date_range("2024-01-01", periods=50)
    frames = [pd.DataFrame({"time": times, "name": n, "x": range(50)}) for n in names]
    return pd.concat(frames)


def test_of_several_series_some_are_taken_and_of_one_the_last_steps():
    columns = Columns(("time",), ("x",), series="name")
    several = read_series(table("abcdefgh"), columns)
    found = fewer_series(several, TrainingConfig(max_examples=3))
    names = [one.name for one in found.series]
    assert (
        len(names) == 3 and names == sorted(names) and all(len(one) == 50 for one in found.series)
    )
    one = read_series(table("a").drop(columns="name"), Columns(("time",), ("x",)))
    (last,) = fewer_series(one, TrainingConfig(fraction=0.2)).series
    assert last.values[:, 0].tolist() == list(range(40, 50))
    assert last.times[0] == pd.Timestamp("2024-02-10")
    assert fewer_series(several, TrainingConfig(max_examples=8)) is several
