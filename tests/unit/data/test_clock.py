"""The calendar inside the graph is the one that pandas has."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from rnnapps.data import times
from rnnapps.data.clock import calendar_of, civil, holidays_of
from rnnapps.data.holidays import holiday_days, holiday_flags


def seconds(index):
    return tf.constant(index.as_unit("s").asi8)[None]


@pytest.mark.parametrize("start", ["1896-01-01", "1969-01-01", "2019-01-01", "2095-01-01"])
def test_ten_years_of_times_equal_pandas(start):
    index = pd.date_range(start, periods=10 * 366 * 24 // 5, freq="5h7min3s")
    own = tf.function(calendar_of)(seconds(index), times.CALENDAR)[0].numpy()
    np.testing.assert_array_equal(own, times.calendar(index, times.CALENDAR))


def test_every_day_of_four_centuries_has_its_date():
    index = pd.date_range("1700-01-01", "2100-12-31", freq="D")
    year, month, day = civil(tf.constant(index.as_unit("s").asi8 // 86400))
    for own, pandas in ((year, index.year), (month, index.month), (day, index.day)):
        np.testing.assert_array_equal(own, pandas)


def test_holidays_equal_those_of_a_table_and_end_with_a_sentence():
    pytest.importorskip("holidays")
    index = pd.date_range("2018-12-30", "2029-01-03", freq="7h")
    tables = [holiday_days(place, range(2018, 2031)) for place in ("DE-BY", "US")]
    flags = holidays_of(seconds(index), tables, (2018, 2030))[0].numpy()
    np.testing.assert_array_equal(flags, holiday_flags(index, ["DE-BY", "US"]))
    assert 0 < flags.mean() < 0.1
    late = seconds(pd.DatetimeIndex(["2031-01-01"]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="2018 to 2030"):
        holidays_of(late, tables, (2018, 2030))
