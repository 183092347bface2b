"""Trains taggers with the default settings, and prints their test metrics against CRFsuite.

`--data-dir DIR` has the folders ud_english_ewt, wnut17 and resume_ner. Their names select rows; any
flag of `rnnapps train tagging` may follow a `--`. Use `--validation` to choose between settings
without reading the test set. With `--runs` the trained runs are kept in a folder, and existing ones
are not trained again.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from common import measured, options_of, record, rnnapps, show, show_machine, verdict

MEASURES = ("f1", "precision", "recall", "accuracy", "accuracy_unseen")
BARS = {  # the metric, its minimum, and the maximum training time in minutes
    "ud_english_ewt": ("accuracy", 0.945, 30),
    "resume_ner": ("f1", 0.935, 20),
    "wnut17": ("f1", None, 30),  # not below CRFsuite's
}


def main() -> None:
    words = sys.argv[1:]
    flags = words[words.index("--") + 1 :] if "--" in words else []
    sys.argv[1:] = words[: len(words) - len(flags) - 1] if "--" in words else words
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--validation", action="store_true", help="do not measure on test")
    parser.add_argument("--runs", type=Path, help="a folder that keeps the runs")
    options = options_of(parser, BARS)
    show_machine()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.row or BARS:
            run = (options.runs or Path(folder)) / name
            words = ["train", "tagging", "--data", name, "--data-dir", options.data_dir, *flags]
            print("rnnapps", *words)
            if not run.exists():
                rnnapps(*words, "--run-dir", run)
            seconds = json.loads((run / "run.json").read_text("utf-8"))["seconds"]
            print(f"training {seconds:.0f} s")
            metrics = json.loads((run / "metrics.json").read_text("utf-8"))
            show("validation", {"rnnapps": metrics["validation"]}, MEASURES)
            if not options.validation:
                report(name, measured(rnnapps("evaluate", run)), seconds, bool(flags))


def report(name: str, found: dict, seconds: float, changed: bool) -> None:
    measure, bar, minutes = BARS[name]
    show("test", found, MEASURES)
    bar = found["CRFsuite"][measure] if bar is None else bar
    verdict(f"{name}, {measure}", found["rnnapps"][measure], 1.0, bar)
    verdict(f"{name}, minutes", seconds / 60, minutes)
    if not changed:
        record(f"tagging-{name}", found, MEASURES)


if __name__ == "__main__":
    main()
