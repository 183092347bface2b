"""Named data sets and users' own files, their splits, and batches of like length."""

from rnnapps.data.batching import Batches
from rnnapps.data.named import load_tfds
from rnnapps.data.reviews import make_reviews
from rnnapps.data.splits import stratified_split
from rnnapps.data.tables import Examples, from_frame, read_examples

__all__ = [
    "Batches",
    "Examples",
    "from_frame",
    "load_tfds",
    "make_reviews",
    "read_examples",
    "stratified_split",
]
