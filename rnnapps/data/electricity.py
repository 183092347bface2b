"""A simulated electricity load with known noise, and so a known best score."""

import numpy as np
import pandas as pd

NOISE = 2.0  # MW, the standard deviation of what no forecaster can know
_OUTAGES = 6
_HOLIDAYS = ("01-01", "05-01", "10-03", "12-25", "12-26")


def make_load(days: int = 730, seed: int = 0) -> pd.DataFrame:
    """Simulates the hourly load of a town, with a temperature that is known a week ahead.

    The load has a daily shape that differs on weekends and holidays, a yearly cycle, and rises as
    it gets colder than 15 °C or warmer than 22 °C; independent normal noise of `NOISE` MW comes on
    top. In a few outages of the meter some hours are missing.

    Args:
        days: Number of days, from 2022 on.
        seed: Seed of weather, noise and outages.

    Returns:
        A table of `time`, `load` (MW), `temperature` (°C) and `holiday` (0 or 1).
    """
    rng = np.random.default_rng(seed)
    time = pd.date_range("2022-01-01", periods=24 * (days + 7), freq="h")
    hour, yearday = time.hour.to_numpy(), time.day_of_year.to_numpy()
    holiday = time.strftime("%m-%d").isin(_HOLIDAYS)
    rest = (time.day_of_week >= 5) | holiday

    front = np.zeros(len(time))  # weather that comes and stays for some days
    steps = rng.normal(0, 0.3, len(time))
    for t in range(1, len(time)):
        front[t] = 0.995 * front[t - 1] + steps[t]
    year = -np.cos(2 * np.pi * (yearday - 20) / 365.25)
    temperature = 11 + 9 * year + 4 * np.sin(2 * np.pi * (hour - 9) / 24) + front

    work = 22 * np.exp(-(((hour - 8.5) / 2.5) ** 2)) + 26 * np.exp(-(((hour - 19) / 3) ** 2))
    ease = 14 * np.exp(-(((hour - 11) / 3) ** 2)) + 20 * np.exp(-(((hour - 20) / 3) ** 2))
    climate = 1.6 * np.maximum(0, 15 - temperature) + 2.2 * np.maximum(0, temperature - 22)
    load = 60 + np.where(rest, ease, work) + climate - 4 * year
    load += rng.normal(0, NOISE, len(time))
    load[24 * days :] = np.nan
    for start in rng.integers(0, 24 * (days - 2), _OUTAGES):
        load[start : start + rng.integers(3, 30)] = np.nan
    return pd.DataFrame({
        "time": time,
        "load": load.round(3),
        "temperature": temperature.round(2),
        "holiday": holiday.astype(int),
    })  # fmt: skip
