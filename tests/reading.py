"""The readers of the applications, with their settings, and files of the kinds that people have."""

import io
import zipfile

import pandas as pd
import pytest

from rnnapps import CharGenConfig, ForecastingConfig, SentimentConfig, TranslationConfig
from rnnapps.apps.chargen.data import read_file
from rnnapps.apps.forecasting.data import columns_of
from rnnapps.data import read_examples, read_pairs, read_series, times
from rnnapps.errors import RnnappsError, in_shell


def zipped(content, name="inner.csv"):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("__MACOSX/._inner.csv", b"\0")
        file.writestr(name, content)
    return archive.getvalue()


def excel(*frames):
    book = io.BytesIO()
    with pd.ExcelWriter(book) as writer:
        for i, frame in enumerate(frames):
            frame.to_excel(writer, sheet_name=f"Sheet{i + 1}", index=False)
    return book.getvalue()


def parquet(frame, **options):
    return frame.to_parquet(**options)


# The four applications' readers, with an application's settings.


def examples(path, **settings):
    config = SentimentConfig(**settings)
    found = read_examples(path, config.text_column, config.label_column, config)["all"]
    return list(zip(found.texts, found.labels, strict=True)), " ".join(found.said)


def pairs(path, **settings):
    config = TranslationConfig(**settings)
    columns = (config.source_column, config.target_column)
    found = read_pairs(path, None, columns, (config.source, config.target), config)
    return list(zip(found.sources, found.targets, strict=True)), " ".join(found.said)


def text(path, **settings):
    return read_file(path, CharGenConfig(**settings), "strict"), ""


def series(path, **settings):
    config = ForecastingConfig(**settings)
    found = read_series(path, columns_of(config), options=config)
    index = times.in_zone(found.series[0].times, found.columns.zone, found.columns.freq)
    values = found.series[0].values[:, 0]
    said = " ".join([*found.said, *found.notes, f"targets={found.columns.targets}"])
    return (str(index[0]), found.columns.freq, len(index), values[:3].tolist()), said


def refused(read):
    """What a reader says of a file that it does not read."""

    def complaint(path, **settings):
        with pytest.raises(RnnappsError) as raised:
            read(path, **settings)
        with in_shell():
            return "refused", str(raised.value)

    return complaint


def dated(form, count=60, freq="D", values=None, separator=",", **columns):
    index = pd.date_range("2014-01-01", periods=count, freq=freq)
    values = [i + 0.5 for i in range(count)] if values is None else values
    frame = pd.DataFrame({"date": index.strftime(form), "y": values, **columns})
    return frame.to_csv(index=False, sep=separator)
