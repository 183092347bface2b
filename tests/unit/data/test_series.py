import numpy as np
import pandas as pd
import pytest
from dateutil import tz

from rnnapps.data import Columns, make_load, read_series, season_of, times
from rnnapps.data.electricity import NOISE
from rnnapps.errors import DataError


def hourly(count=60, **columns):
    time = pd.date_range("2024-01-01", periods=count, freq="h").strftime("%Y-%m-%d %H:%M")
    columns = columns or {"y": np.arange(count, dtype=float)}
    return pd.DataFrame({"time": time, **columns})


def written(tmp_path, frame):
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


def test_a_csv_becomes_a_regular_series(tmp_path):
    frame = hourly(y=np.arange(60.0), wind=["N", "S", None] * 20, x=np.ones(60))
    columns = Columns(targets=("y",), past=("wind",), future=("x",), calendar=("hour",))
    found = read_series(written(tmp_path, frame), columns)
    assert found.columns.names == ("y", "wind=N", "wind=S", "x", "hour_sin", "hour_cos")
    assert found.columns.freq == "h"
    values = found.series[0].values
    np.testing.assert_array_equal(values[:3, 1:3], [[1, 0], [0, 1], [np.nan, np.nan]])
    angle = 2 * np.pi * (np.arange(60) % 24) / 24
    np.testing.assert_allclose(
        values[:, 4:], np.stack([np.sin(angle), np.cos(angle)], 1), atol=1e-6
    )
    again = read_series(written(tmp_path, frame.assign(wind="E")), found.columns)
    assert again.series[0].values[:, 1:3].sum() == 0  # a word that was not there before


def test_what_is_mended_is_noted():
    frame = hourly()
    frame.loc[7, "y"] = np.nan
    shuffled = frame.drop(index=[20, 21]).sample(frac=1, random_state=0)
    shuffled = pd.concat([shuffled, shuffled.iloc[:3]])
    found = read_series(shuffled, Columns())
    expected = frame["y"].to_numpy(copy=True)
    expected[[20, 21]] = np.nan
    np.testing.assert_array_equal(found.series[0].values[:, 0], expected.astype(np.float32))
    order, again, gap, missing = found.notes
    assert "not in the order of time" in order
    assert "repeats 3 rows (the first is row 60)" in again
    assert "lacks 2 of 60 steps (the first at 2024-01-01 20:00:00)" in gap
    assert "(of 60: y 3)" in missing
    assert read_series(frame.fillna(0.0), Columns()).notes == []


def test_several_series_and_times_in_parts():
    one = hourly().assign(place="a")
    table = pd.concat([one, one.assign(place="b", y=one["y"] * 2).iloc[5:]])
    stamps = pd.to_datetime(table.pop("time"))
    table.insert(0, "hour", stamps.dt.hour)
    table.insert(0, "day", stamps.dt.day)
    table.insert(0, "month", 1)
    table.insert(0, "year", 2024)
    columns = Columns(("year", "month", "day", "hour"), series="place")
    found = read_series(table, columns)
    assert [one.name for one in found.series] == ["a", "b"]
    assert [len(one) for one in found.series] == [60, 55]
    assert found.series[1].times[0] == pd.Timestamp("2024-01-01 05:00")
    assert found.columns.targets == ("y",)
    np.testing.assert_array_equal(found.series[1].values[:, 0], 2 * np.arange(5.0, 60))


@pytest.mark.parametrize(
    ("freq", "season"),
    [("h", 24), ("15min", 96), ("D", 7), ("B", 5), ("7D", 52), ("MS", 12), ("ME", 12),
     ("W-SUN", 52), ("QS-OCT", 4), ("YS-JAN", 1), ("min", 60), ("s", 60), ("3h", 8), ("2MS", 6)],
)  # fmt: skip
def test_every_step_is_found_again_and_has_its_season(freq, season):
    times = pd.date_range("2023-01-01", periods=40, freq=freq)
    holes = times.delete([3, 4, 17])
    found = read_series(pd.DataFrame({"t": holes, "y": np.arange(37.0)}), Columns())
    assert found.series[0].times.equals(times.as_unit(found.series[0].times.unit))
    assert np.isnan(found.series[0].values).sum() == 3
    assert season_of(found.columns.freq) == season


def test_a_zone_is_kept():
    frame = hourly()
    frame["time"] = frame["time"] + "+02:00"
    found = read_series(frame, Columns(calendar=("hour",)))
    assert found.series[0].times[0] == pd.Timestamp("2024-01-01 00:00")
    assert found.columns.zone == "UTC+02:00"
    assert found.series[0].values[0, 1:].tolist() == [0, 1]  # midnight there
    stamps = pd.date_range("2024-03-30", periods=60, freq="h", tz="Europe/Berlin")
    found = read_series(frame.assign(time=stamps), Columns(calendar=("hour",)))
    index = times.in_zone(found.series[0].times, found.columns.zone, found.columns.freq)
    assert index.equals(stamps.as_unit(index.unit))
    three = found.series[0].values[26, 1:]  # the hour after one o'clock in that night
    np.testing.assert_allclose(three, [np.sqrt(0.5)] * 2, atol=1e-6)


def test_a_zone_is_found_again_or_refused():
    hours = pd.date_range("2024-03-30", periods=60, freq="h")
    found = read_series(hourly().assign(time=hours.tz_localize(tz.tzoffset(None, 7200))), Columns())
    assert (found.series[0].times[0], found.columns.zone) == (hours[0], "UTC+02:00")
    nameless = hours.tz_localize(tz.gettz("Europe/Berlin"), nonexistent="shift_forward")
    with pytest.raises(DataError, match=r"a zone with a name, .* in column 'time' .*dt.tz_convert"):
        read_series(hourly().assign(time=nameless), Columns())


def test_true_and_false_are_one_and_zero():
    found = read_series(hourly().assign(y=[True, False] * 30), Columns())
    assert found.series[0].values[:2].tolist() == [[1], [0]]


def spoiled(row, column, value):
    frame = hourly().astype(object)
    frame.loc[row - 1, column] = value
    return frame


MISTAKES = [
    (hourly(), {"targets": ("yy",)}, r"no column 'yy' \(target=\); its columns are time, y"),
    (hourly(), {"past": ("w",)}, r"no column 'w' \(past_covariates=\)"),
    (spoiled(9, "time", "noon"), {}, r"times in column time .*Received: 'noon' in row 9"),
    (spoiled(9, "time", "2024-01-01 08:20"), {}, r"regular steps of h .*08:20:00 in row 9"),
    (spoiled(9, "y", "many"), {}, r"numbers in column 'y' .*Received: 'many' in row 9"),
    (spoiled(9, "y", "inf"), {}, r"finite numbers in column 'y' .*Received: inf in row 9"),
    (spoiled(9, "y", float("-inf")), {}, r"finite numbers .*Received: -inf in row 9"),
    (hourly(y=np.full(60, np.nan)), {}, r"no value at all in column 'y'"),
    (hourly(), {"freq": "fortnight"}, r"freq= to be pandas' name.*'fortnight'"),
    (hourly(), {"freq": "D"}, r"regular steps of D .*2024-01-01 01:00:00 in row 2"),
    (hourly().iloc[:2], {}, r"at least 3 steps"),
    (hourly().iloc[:0], {}, r"holds no rows"),
    (hourly()[["time"]], {}, r"no column to forecast"),
    (pd.concat([hourly(), hourly().assign(y=0)]), {}, r"two rows of different values .*series_col"),
    (hourly(y=range(60), w=[f"w{i}" for i in range(60)]), {"targets": ("y",), "past": ("w",)},
     r"at most 50 different words, in column 'w'"),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "columns", "sentence"), MISTAKES)
def test_a_mistake_in_a_table_is_one_sentence(frame, columns, sentence, tmp_path):
    with pytest.raises(DataError, match=sentence) as caught:
        read_series(frame, Columns(**columns))
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=sentence):
        read_series(written(tmp_path, frame), Columns(**columns))


def test_the_sample_s_noise_is_what_it_says():
    frame = make_load()
    assert frame.equals(make_load())
    known = frame.dropna()
    time = known["time"]
    # What is left once the hour of each kind of day and the temperature are known well.
    kind = ((time.dt.day_of_week >= 5) | (known["holiday"] == 1)).astype(int) * 24 + time.dt.hour
    yearday = 2 * np.pi * (time.dt.day_of_year - 20) / 365.25
    heat = [np.maximum(0, 15 - known["temperature"]), np.maximum(0, known["temperature"] - 22)]
    parts = [np.eye(48)[kind], np.stack([*heat, np.cos(yearday)], 1)]
    x = np.concatenate(parts, axis=1)
    left = known["load"] - x @ np.linalg.lstsq(x, known["load"], rcond=None)[0]
    assert left.std() == pytest.approx(NOISE, rel=0.03)
    assert frame["load"].isna().sum() > 7 * 24
    assert not frame["temperature"].isna().any()


def test_the_air_of_beijing_reads(test_data):
    columns = Columns(("year", "month", "day", "hour"), ("pm2.5",), ("DEWP", "cbwd"))
    found = read_series(test_data / "series" / "pollution.csv", columns)
    (one,) = found.series
    assert len(one) == 43824
    assert np.isnan(one.values[:, 0]).sum() == 2067
    assert found.columns.past_names == ("DEWP", "cbwd=NE", "cbwd=NW", "cbwd=SE", "cbwd=cv")
    np.testing.assert_array_equal(one.values[:, 2:].sum(1), 1)


def test_none_among_words_is_a_word_and_among_numbers_a_missing_value():
    sales = ["none", "sale", "NA", "null", None] * 12
    depth = ["none", "0.2", "NA", "0.5", ""] * 12
    frame = hourly(y=np.arange(60.0), promo=sales, depth=depth)
    found = read_series(frame, Columns(targets=("y",), future=("promo", "depth")))
    words = ("NA", "none", "null", "sale")
    assert found.columns.categories == {"promo": words}
    values = found.series[0].values
    expected = np.array([[word == one for one in words] for word in sales[:4]], float)
    np.testing.assert_array_equal(values[:4, 1:5], expected)
    assert np.isnan(values[4, 1:5]).all()
    np.testing.assert_array_equal(np.isnan(values[:5, 5]), [True, False, True, False, True])
    assert any("'none' in 12 rows" in note and "'depth'" in note for note in found.notes)


def test_a_word_that_training_did_not_see_is_noted():
    frame = hourly(y=np.arange(60.0), promo=["no", "sale"] * 30)
    columns = read_series(frame, Columns(targets=("y",), future=("promo",))).columns
    found = read_series(frame.assign(promo=["none", "sale"] * 30), columns)
    np.testing.assert_array_equal(found.series[0].values[:2, 1:], [[0, 0], [0, 1]])
    (note,) = found.notes
    assert note.startswith("the table holds 'none' in 30 rows of column 'promo', which training")


def test_values_keep_what_float32_would_lose():
    y = 250_000_000 + 2.0 * np.arange(60)
    found = read_series(hourly(y=y), Columns())
    np.testing.assert_array_equal(found.series[0].values[:, 0], y)


def test_a_series_without_a_name_is_refused():
    frame = hourly().assign(place=["a"] * 59 + [None])
    with pytest.raises(DataError, match=r"name of a series in column 'place' .* cell in row 60"):
        read_series(frame, Columns(series="place"))
