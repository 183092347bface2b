"""Trains the sentiment classifier, and prints what it reached on test and how long it took.

Any flag of `rnnapps train sentiment` may follow. `--data-dir DIR` alone takes the 50,000 IMDB
reviews through tensorflow_datasets; no flag at all takes the embedded sample.
"""

import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def rnnapps(*arguments: str) -> dict:
    """Runs one command of the command line; its result."""
    command = [sys.executable, "-m", "rnnapps.cli", *arguments, "--json"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def main(flags: list[str]) -> None:
    if any(flag.startswith("--data-dir") for flag in flags) and "--data" not in flags:
        flags = ["--data", "imdb_reviews", *flags]
    with tempfile.TemporaryDirectory() as folder:
        run_dir = str(Path(folder, "run"))
        began = time.monotonic()
        trained = rnnapps("train", "sentiment", *flags, "--run-dir", run_dir)
        seconds = time.monotonic() - began
        found = rnnapps("evaluate", run_dir)
    print(f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores")
    print(f"rnnapps train sentiment {' '.join(flags)}")
    print(f"whole command {seconds:.0f} s, of it training {trained['seconds']:.0f} s")
    print(f"validation accuracy {trained['validation']['accuracy']:.4f}")
    rows = {"rnnapps": found, **found["baselines"]}
    measures = ("accuracy", "macro_f1", "roc_auc", "log_loss", "calibration_error")
    print(f"{'test':28}" + "".join(f"{name:>19}" for name in measures))
    for name, row in rows.items():
        print(f"{name:28}" + "".join(f"{row.get(m, float('nan')):19.4f}" for m in measures))


if __name__ == "__main__":
    main(sys.argv[1:])
