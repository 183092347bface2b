"""Data sets by name: a program registers its own; an unknown name is refused with the known."""

import concurrent.futures
import importlib
import re
import threading

import numpy as np
import pandas as pd
import pytest

from rnnapps.apps import config_class
from rnnapps.data import load_tfds, register
from rnnapps.errors import DataError

FILMS = [f"a {word} film of {n} minutes" for n in range(40) for word in ("fine", "dull")]
GIVEN = {
    "sentiment": (FILMS, ["good", "bad"] * 40),
    "chargen": "the cat sat on the mat\n" * 300,
    "translation": ([f"le {n} mai" for n in range(99)], [f"May {n}" for n in range(99)]),
    "forecasting": pd.DataFrame({
        "time": pd.date_range("2024-01-01", periods=600, freq="h"),
        "load": np.sin(np.arange(600) / 4),
    }),
}  # fmt: skip


@pytest.mark.parametrize(
    ("application", "settings", "said"),
    [
        *((name, {"data": "gone.txt"}, "gone.txt (data=)") for name in GIVEN),
        ("tagging", {"data": "./gone"}, "./gone (data=)"),
        ("translation", {"target_data": "gone"}, "gone (target_data=)"),
    ],
)
def test_a_file_that_is_not_there_is_named_with_its_argument(application, settings, said, tmp_path):
    (tmp_path / "here.txt").write_text("one\n")
    config = config_class(application)(**{"data": str(tmp_path / "here.txt"), **settings})
    data = importlib.import_module(f"rnnapps.apps.{application}.data")
    read = data.load_series if application == "forecasting" else data.load_splits
    with pytest.raises(DataError, match=re.escape(f"No such file or folder: {said}.")):
        read(config)


def load(application, name):
    """What an application reads of a data set of this name."""
    settings = {"target": ("load",)} if application == "forecasting" else {}
    config = config_class(application)(data=name, **settings)
    data = importlib.import_module(f"rnnapps.apps.{application}.data")
    return data.load_series(config) if application == "forecasting" else data.load_splits(config)


@pytest.mark.parametrize("application", GIVEN)
def test_a_registered_data_set_is_known_by_its_name(application):
    register(f"my_{application}", lambda: GIVEN[application])
    found = load(application, f"my_{application}")
    if application == "forecasting":
        np.testing.assert_array_equal(found.series[0].values[:, 0], GIVEN[application]["load"])
        return
    whole = GIVEN[application]
    parts = (found.train, found.validation, found.test)
    if application == "chargen":
        assert "".join(parts) == whole
    else:
        columns = ("texts", "labels") if application == "sentiment" else ("sources", "targets")
        rows = [
            row
            for part in parts
            for row in zip(*(getattr(part, column) for column in columns), strict=True)
        ]
        assert sorted(rows) == sorted(zip(*whole, strict=True))
    with pytest.raises(DataError, match=f"my_{application}, or the path .*Did you mean"):
        load(application, f"my_{application[:-1]}")


def test_a_name_is_given_once():
    register("taken", list)
    register("taken", list)
    with pytest.raises(ValueError, match="'taken'"):
        register("taken", dict)


def test_what_two_prepare_at_once_both_have(tmp_path):
    import tensorflow_datasets as tfds

    both = threading.Barrier(2, timeout=60)

    class PreparedTwice(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        MANUAL_DOWNLOAD_INSTRUCTIONS = "none"

        def _info(self):
            features = tfds.features.FeaturesDict({"n": np.int64})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, download_manager):
            both.wait()  # neither has begun to write
            return {"train": [(n, {"n": n}) for n in range(3)]}

        def _generate_examples(self):
            return ()

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: load_tfds("prepared_twice", ["train"], tmp_path), range(2)))
    assert [[row["n"] for row in part] for (part,) in found] == [[0, 1, 2]] * 2
