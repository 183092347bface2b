"""Calendar and holiday features in the graph, equal to `times.calendar` and `holiday_flags`."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from rnnapps.assertions import require

_DAY = 86400
_ERA = 146097  # days of 400 years


def civil(days: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Year, month and day of the month of days since 1970-01-01, int64 of any shape.

    Years are counted from March, so that a leap day is the last of its year.
    """
    days = days + 719468  # since 0000-03-01
    era = days // _ERA
    of_era = days - era * _ERA
    years = (of_era - of_era // 1460 + of_era // 36524 - of_era // (_ERA - 1)) // 365
    of_year = of_era - (365 * years + years // 4 - years // 100)
    month = (5 * of_year + 2) // 153  # 0 is March
    day = of_year - (153 * month + 2) // 5 + 1
    month = tf.where(month < 10, month + 3, month - 9)
    return years + era * 400 + tf.cast(month <= 2, tf.int64), month, day


def calendar_of(seconds: tf.Tensor, features: Sequence[str]) -> tf.Tensor:
    """Places of times in their day, week, month or year, each as a point on a circle.

    Args:
        seconds: int64 `(batch, time)`, the seconds since 1970-01-01 00:00 that a clock on the wall
            shows.
        features: Names of `times.CALENDAR`.

    Returns:
        float32 `(batch, time, 2 * features)`: sine and cosine of each.

    Example:
    >>> seconds = pd.DatetimeIndex(["2024-02-29 06:00"]).astype("datetime64[s]").astype("int64")
    >>> calendar_of(tf.constant(seconds)[None], ["hour"]).numpy().round(3).tolist()
    [[[1.0, 0.0]]]
    """
    days = seconds // _DAY
    year, month, day = civil(days)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    before = tf.constant([0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334], tf.int64)
    yearday = tf.gather(before, month) + day - 1 + tf.cast(leap & (month > 2), tf.int64)
    counted = {  # places as whole numbers, and how many make a turn
        "hour": (seconds - days * _DAY, _DAY),
        "weekday": ((days + 3) % 7, 7),  # 1970-01-01 was a Thursday
        "monthday": (day - 1, 31),
        "yearday": (yearday, 365.25),
        "month": (month - 1, 12),
    }
    points = []
    for feature in features:
        place, turn = counted[feature]
        angle = tf.cast(place, tf.float64) * (2 * np.pi / turn)
        points += [tf.sin(angle), tf.cos(angle)]
    return tf.cast(tf.stack(points, axis=-1), tf.float32)


def holidays_of(
    seconds: tf.Tensor, tables: Sequence[np.ndarray], years: tuple[int, int]
) -> tf.Tensor:
    """Which times lie on a holiday.

    Args:
        seconds: As for `calendar_of`.
        tables: For each place its holidays, as ascending days since 1970-01-01.
        years: The first year of the tables, and the last; other times end the graph's run with a
            sentence.

    Returns:
        float32 `(batch, time, places)`, a one on holidays.
    """
    days = seconds // _DAY
    year, _, _ = civil(days)
    first, last = years
    expected = f"Expected times in {first} to {last}, the years of the export's table of holidays."
    with tf.control_dependencies([require((year >= first) & (year <= last), expected, year)]):
        days = tf.identity(days)
    flags = []
    for table in tables:
        place = tf.searchsorted(tf.constant(table), tf.reshape(days, [-1]))
        found = tf.gather(tf.constant(table), tf.minimum(place, len(table) - 1))
        flags.append(tf.reshape(found, tf.shape(days)) == days)
    return tf.cast(tf.stack(flags, axis=-1), tf.float32)
