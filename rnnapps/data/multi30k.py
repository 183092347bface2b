"""Multi30K, image captions in English and German, as a tensorflow_datasets builder."""

import gzip
import pathlib
from collections.abc import Iterator

import tensorflow_datasets as tfds

LANGUAGES = ("de", "en")
_URL = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/"
_SPLITS = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
_FILES = {  # bytes, sha256
    "train.de.gz": (637044, "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6"),
    "train.en.gz": (568929, "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f"),
    "val.de.gz": (24681, "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a"),
    "val.en.gz": (21650, "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28"),
    "test_2016_flickr.de.gz": (
        22890, "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
    ),
    "test_2016_flickr.en.gz": (
        21077, "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
    ),
}  # fmt: skip


class Multi30k(tfds.core.GeneratorBasedBuilder):
    """30,000 captions of photographs, of task 1: English ones with their German translations.

    The files are downloaded, or taken from where the prepared data is to be kept (`train.de.gz`
    and the like, there or under `downloads/manual`, also in a folder `multi30k`).

    Reference:
        - [Elliott et al., 2016](https://aclanthology.org/W16-3210/)
    """

    VERSION = tfds.core.Version("1.0.0")

    @property
    def url_infos(self) -> dict:
        """What is to be downloaded: nothing, where the files are there."""
        if self._own_copies():
            return {}
        return {
            _URL + name: tfds.download.checksums.UrlInfo(size, checksum, name)
            for name, (size, checksum) in _FILES.items()
        }

    def _own_copies(self) -> pathlib.Path | None:
        root = pathlib.Path(self.data_dir_root)
        manual = root / "downloads" / "manual"
        places = (root, root / "multi30k", manual, manual / "multi30k")
        return next((p for p in places if all((p / name).exists() for name in _FILES)), None)

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.Translation(LANGUAGES),
            supervised_keys=LANGUAGES,
            homepage="https://github.com/multi30k/dataset",
            license="for non-commercial research and education",
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        place = self._own_copies()
        if place:
            paths = {name: place / name for name in _FILES}
        else:
            paths = dl_manager.download({name: _URL + name for name in _FILES})
        return {
            split: self._generate_examples({x: paths[f"{stem}.{x}.gz"] for x in LANGUAGES})
            for split, stem in _SPLITS.items()
        }

    def _generate_examples(
        self, paths: dict[str, pathlib.Path]
    ) -> Iterator[tuple[int, dict[str, str]]]:
        sides = [gzip.decompress(pathlib.Path(paths[x]).read_bytes()) for x in LANGUAGES]
        lines = [side.decode("utf-8").removesuffix("\n").split("\n") for side in sides]
        for i, pair in enumerate(zip(*lines, strict=True)):
            yield i, dict(zip(LANGUAGES, pair, strict=True))
