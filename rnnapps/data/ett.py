"""ETTh1, the electricity transformer temperatures, as a tensorflow_datasets builder."""

import pathlib
from collections.abc import Iterator

import numpy as np
import pandas as pd
import tensorflow_datasets as tfds

from rnnapps.data.named import load_tfds

_URL = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/ETTh1.csv"
_CHECKSUM = tfds.download.checksums.UrlInfo(
    size=2589657,
    checksum="f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
    filename="ETTh1.csv",
)
_COLUMNS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
_MONTH = 30 * 24  # hours
PARTS = {"train": 12 * _MONTH, "validation": 4 * _MONTH, "test": 4 * _MONTH}  # rows


class EttH1(tfds.core.GeneratorBasedBuilder):
    """Hourly oil temperature and loads of a transformer, 12 + 4 + 4 months of 30 days.

    The file is downloaded, or taken from where the prepared data is to be kept (`ETTh1.csv`, also
    gzipped, there or under `downloads/manual`).

    Reference:
        - [Zhou et al., 2021](https://arxiv.org/abs/2012.07436)
    """

    VERSION = tfds.core.Version("1.0.0")

    @property
    def url_infos(self) -> dict:
        """What is to be downloaded: nothing, where the file is there."""
        return {} if self._own_copy() else {_URL: _CHECKSUM}

    def _own_copy(self) -> pathlib.Path | None:
        root = pathlib.Path(self.data_dir_root)
        places = (root, root / "downloads" / "manual")
        paths = [place / name for place in places for name in ("ETTh1.csv", "ETTh1.csv.gz")]
        return next((path for path in paths if path.exists()), None)

    def _info(self) -> tfds.core.DatasetInfo:
        columns = {name: np.float32 for name in _COLUMNS}
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"date": tfds.features.Text(), **columns}),
            homepage="https://github.com/zhouhaoyi/ETDataset",
            license="CC BY-ND 4.0",
            disable_shuffling=True,  # the rows stay in the order of time
        )

    def _split_generators(self, dl_manager):
        path = self._own_copy() or dl_manager.download(_URL)
        frame = pd.read_csv(path, compression="gzip" if str(path).endswith(".gz") else None)
        ends = np.cumsum(list(PARTS.values()))
        return {
            name: self._generate_examples(frame.iloc[end - rows : end])
            for (name, rows), end in zip(PARTS.items(), ends, strict=True)
        }

    def _generate_examples(self, rows: pd.DataFrame) -> Iterator[tuple[int, dict]]:
        yield from (
            (int(i), row) for i, row in zip(rows.index, rows.to_dict("records"), strict=True)
        )


def load_ett(data_dir: pathlib.Path | str | None) -> pd.DataFrame:
    """Loads ETTh1.

    Args:
        data_dir: The folder of prepared data, or one that holds `ETTh1.csv`.

    Returns:
        The rows of `train`, `validation` and `test`, one after the other, as `PARTS` counts them.

    Raises:
        DataError: If the data is neither prepared nor there nor can be downloaded.
    """
    parts = load_tfds("ett_h1", tuple(PARTS), data_dir)
    frame = pd.DataFrame([row for rows in parts for row in rows])
    frame["date"] = frame["date"].str.decode("utf-8")
    return frame[["date", *_COLUMNS]]
