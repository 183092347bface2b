"""Startup time of commands: CPU seconds for help, for an error, and for one prediction.

    python benchmarks/startup.py [--run-dir RUN_DIR]

CPU seconds, user and system, the minimum of five runs: robust to other load on the machine. The
prediction is by --run-dir's sentiment classifier, or by a small one that is trained first.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from common import record, rnnapps, show, show_machine, verdict

COMMAND = [sys.executable, "-m", "rnnapps.cli"]


def seconds(*command: str, status: int = 0, repeats: int = 5) -> float:
    """The minimum CPU seconds of a command, which must exit with this status."""
    found = []
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert subprocess.run(command, capture_output=True).returncode == status, command
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run-dir", type=Path, help="a run of sentiment")
    options = parser.parse_args()
    show_machine()
    with tempfile.TemporaryDirectory() as folder:
        run_dir = options.run_dir or Path(folder, "run")
        if not options.run_dir:
            rnnapps("train", "sentiment", "--units", 16, "--epochs", 1, "--run-dir", run_dir)
        imports = seconds(sys.executable, "-c", "import keras")
        answer = seconds(*COMMAND, "predict", str(run_dir), "not a bad film at all")
    missing = seconds(*COMMAND, "train", "sentiment", "--data", "no.csv", status=2)
    found = {
        "rnnapps --help": seconds(*COMMAND, "--help"),
        "rnnapps train sentiment --help": seconds(*COMMAND, "train", "sentiment", "--help"),
        "a file that is not there": seconds(
            *COMMAND, "train", "sentiment", "--data", "no.csv", status=2
        ),
        "importing TensorFlow and Keras": imports,
        "rnnapps predict of one text": answer,
    }
    rows = {name: {"CPU seconds": value} for name, value in found.items()}
    show("", rows, ["CPU seconds"])
    record("startup", rows)
    verdict("help", found["rnnapps --help"], 0.4)
    verdict("a file that is not there", missing, 0.5)
    verdict("an answer, in imports of TensorFlow and Keras", answer / imports, 1.8)


if __name__ == "__main__":
    main()
