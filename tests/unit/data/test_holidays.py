import numpy as np
import pandas as pd
import pytest

from rnnapps.data import Columns, features_of, read_series
from rnnapps.data.holidays import holiday_flags
from rnnapps.errors import ConfigError, DataError


def test_holidays_are_those_of_the_country_or_of_its_part():
    hours = pd.date_range("2024-12-24", periods=24 * 16, freq="6h", tz="Europe/Berlin")
    flags = holiday_flags(hours, ["DE", "DE-BY"])
    days = {str(day.date()) for day in hours[flags[:, 0] > 0]}
    # By hand: Christmas, New Year, Good Friday; Epiphany in Bavaria alone.
    assert {"2024-12-25", "2024-12-26", "2025-01-01"} == {d for d in days if d < "2025-02"}
    bavarian = {str(day.date()) for day in hours[flags[:, 1] > 0]}
    assert bavarian - days == {"2025-01-06"}
    assert flags[:, 0].sum() == 4 * len(days)  # all hours of them


def test_holidays_are_known_ahead_in_every_table():
    frame = pd.DataFrame({"time": pd.date_range("2024-12-20", periods=10), "y": np.arange(10.0)})
    found = read_series(frame, Columns(calendar=("weekday",), holidays=("DE",)))
    assert found.columns.future_names == ("weekday_sin", "weekday_cos", "holiday DE")
    values = found.series[0].values
    assert values[:, -1].tolist() == [0, 0, 0, 0, 0, 1, 1, 0, 0, 0]
    ahead = features_of(pd.date_range("2024-12-30", periods=3), found.columns)
    assert ahead[:, -1].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("Germany", r"holidays= to name countries by their ISO 3166 code.* Received: 'Germany'"),
        ("de", r"Received: 'de'. Did you mean DE\?"),
        ("DE-XX", r"holidays= to name a part of DE: BB, .* Received: 'DE-XX'"),
    ],
)
def test_a_country_that_does_not_exist(place, sentence):
    with pytest.raises(ConfigError, match=sentence):
        holiday_flags(pd.date_range("2024-01-01", periods=3), [place])


def test_holidays_need_times():
    frame = pd.DataFrame({"step": np.arange(30), "y": np.arange(30.0)})
    with pytest.raises(DataError, match=r"column of times \(time_column=\) with holidays="):
        read_series(frame, Columns(time=("step",), targets=("y",), holidays=("DE",)))
