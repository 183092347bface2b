"""Named data sets and users' own files, their splits, and batches of like length."""

from rnnapps.data.batching import Batches, CroppedBatches, PairBatches
from rnnapps.data.columns import Columns
from rnnapps.data.dates import make_dates
from rnnapps.data.electricity import NOISE, make_load
from rnnapps.data.examples import Examples, from_table, read_examples, text_of
from rnnapps.data.given import columns_given, texts_given, together
from rnnapps.data.input_pipeline import as_it_is, feed
from rnnapps.data.named import check_known, load_registered, load_tfds, register
from rnnapps.data.pairs import Pairs, clean_pairs, read_pairs
from rnnapps.data.reviews import make_reviews
from rnnapps.data.series import Series, SeriesSet, features_of, read_series, stamp_of
from rnnapps.data.splits import Splits, fingerprint, stratified_split
from rnnapps.data.streams import Streams, StreamsByDirection
from rnnapps.data.tables import Table, read_table
from rnnapps.data.texts import read_bytes, read_text
from rnnapps.data.times import season_of
from rnnapps.data.unlabelled import Unlabelled, read_unlabelled
from rnnapps.data.windows import Windows, WindowShape

__all__ = [
    "NOISE",
    "Batches",
    "Columns",
    "CroppedBatches",
    "Examples",
    "PairBatches",
    "Pairs",
    "Series",
    "SeriesSet",
    "Splits",
    "Streams",
    "StreamsByDirection",
    "Table",
    "Unlabelled",
    "WindowShape",
    "Windows",
    "as_it_is",
    "check_known",
    "clean_pairs",
    "columns_given",
    "features_of",
    "feed",
    "fingerprint",
    "from_table",
    "load_registered",
    "load_tfds",
    "make_dates",
    "make_load",
    "make_reviews",
    "read_bytes",
    "read_examples",
    "read_pairs",
    "read_series",
    "read_table",
    "read_text",
    "read_unlabelled",
    "register",
    "season_of",
    "stamp_of",
    "stratified_split",
    "text_of",
    "texts_given",
    "together",
]
