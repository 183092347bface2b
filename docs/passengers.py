"""Draws the picture of the README: a year ahead of a table of airline passengers, three times.

The run is the one of `python benchmarks/forecasting.py --data-dir DIR --runs RUNS passengers`:

    python docs/passengers.py RUNS/passengers-0 airline-passengers.csv [docs/passengers.png]
"""

import sys

import pandas as pd
from matplotlib import pyplot as plt

import rnnapps

ORIGINS = ("1958-01", "1959-01", "1960-01")


def main(run: str, file: str, path: str = "docs/passengers.png") -> None:
    """Draws what was observed, and what was forecast from three origins behind the training part.

    Args:
        run: The run.
        file: The table that it learned from the beginning of: a month and a number a row.
        path: The PNG to write.
    """
    app, table = rnnapps.load(run), pd.read_csv(file)
    time, passengers = table.columns
    months = pd.to_datetime(table[time])
    figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
    shown = months >= "1954-01"
    axes.plot(months[shown], table[passengers][shown], color="0.3", lw=1, label="observed")
    for number, origin in enumerate(ORIGINS):
        found = app.predict(table[months < origin])
        first = number == 0  # a legend names each once
        axes.plot(found["time"], found["forecast"], color="C0", label="forecast" if first else None)
        for low, high, shade, name in (
            ("q0.1", "q0.9", 0.3, "80 % interval"),
            ("q0.025", "q0.975", 0.2, "95 % interval"),
        ):
            style = {"color": "C0", "alpha": shade, "lw": 0, "label": name if first else None}
            axes.fill_between(found["time"], found[low], found[high], **style)
        axes.axvline(pd.Timestamp(origin), color="0.7", lw=0.8, ls=":")
    axes.set(
        title="Airline passengers: a year ahead, from three origins", ylabel="thousands a month"
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", frameon=False, ncols=2)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main(*sys.argv[1:])
