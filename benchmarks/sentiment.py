"""Trains the sentiment classifier, and prints its test metrics and training time.

Any flag of `rnnapps train sentiment` may follow. `--data-dir DIR` alone uses the 50,000 IMDB
reviews from tensorflow_datasets; without flags the embedded sample is used.
"""

import sys
import tempfile
from pathlib import Path

from common import measured, record, rnnapps, show, show_machine

MEASURES = ("accuracy", "macro_f1", "roc_auc", "log_loss", "calibration_error")


def main(flags: list[str]) -> None:
    if any(flag.startswith("--data-dir") for flag in flags) and "--data" not in flags:
        flags = ["--data", "imdb_reviews", *flags]
    with tempfile.TemporaryDirectory() as folder:
        trained = rnnapps("train", "sentiment", *flags, "--run-dir", Path(folder, "run"))
        found = measured(rnnapps("evaluate", Path(folder, "run")))
    show_machine()
    print(f"rnnapps train sentiment {' '.join(flags)}")
    print(
        f"whole command {trained['command_seconds']:.0f} s, of it training "
        f"{trained['seconds']:.0f} s"
    )
    print(f"validation accuracy {trained['validation']['accuracy']:.4f}")
    show("test", found, MEASURES)
    data = flags[flags.index("--data") + 1] if "--data" in flags else "sample"
    record(f"sentiment-{Path(data).stem}", found, MEASURES)


if __name__ == "__main__":
    main(sys.argv[1:])
