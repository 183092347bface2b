"""Cost and quality of `rnnapps update` against retraining, on validation data only.

    python benchmarks/update.py RT_POLARITY [FLAGS]

Of each class the first nine tenths of the reviews are the old run's, the last tenth is new. Both
are split into parts here, so that the update and the retraining on all of them are evaluated on the
same validation set. Three seeds, each for splitting and training. Any flag of `rnnapps train
sentiment` may follow the folder of reviews.
"""

import json
import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from common import record, rnnapps, show, show_machine, verdict

SEEDS = 3
CLASSES = ("neg", "pos")
PARTS = {"validation": 0.1, "test": 0.1}  # the rest is the training part
MEASURES = ("seconds", "training", "validation")


def write_parts(texts: Sequence[str], label: str, seed: int, folders: Sequence[Path]) -> None:
    """Splits the texts of a class, and writes them to each of the folders, one file per text."""
    order = random.Random(seed).sample(range(len(texts)), len(texts))
    for name, share in PARTS.items():
        count = round(share * len(texts))
        own, order = order[:count], order[count:]
        write_texts(texts, own, [folder / name / label for folder in folders])
    write_texts(texts, order, [folder / "train" / label for folder in folders])


def write_texts(texts: Sequence[str], own: Sequence[int], folders: Sequence[Path]) -> None:
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        for i in own:
            name = f"{len(texts)}-{i}.txt"  # old and new texts share a folder
            (folder / name).write_text(texts[i], "utf-8")


def measure(reviews: Path, flags: Sequence[str], seed: int, home: Path) -> dict[str, dict]:
    """Times and validation accuracies of one seed."""
    old, new, both = home / "old", home / "new", home / "both"
    for label in CLASSES:
        lines = (reviews / f"rt-polarity.{label}").read_text("utf-8").split("\n")
        texts = [line.strip() for line in lines if line.strip()]
        end = round(0.9 * len(texts))
        write_parts(texts[:end], label, seed, (old, both))
        write_parts(texts[end:], label, seed, (new, both))

    def train(data: Path, run: Path) -> dict:
        return rnnapps(
            "train", "sentiment", "--data", data, "--seed", seed, *flags, "--run-dir", run
        )

    before, anew = train(old, home / "run"), train(both, home / "anew")
    # Evaluated in any case; by default a loss of 0.02 on the old part would reject the update.
    updated = rnnapps("update", home / "run", new, "--tolerance", 0.99)
    run = {name: json.loads((home / "run" / f"{name}.json").read_text("utf-8"))
           for name in ("run", "metrics")}  # fmt: skip
    return {
        "old run": {"validation": before["validation"]["accuracy"], **times(before)},
        "anew": {"validation": anew["validation"]["accuracy"], **times(anew)},
        "update": {
            "validation": run["metrics"]["validation"]["accuracy"],
            "seconds": updated["command_seconds"],
            "training": run["run"]["seconds"],
        },
    }


def times(found: dict) -> dict[str, float]:
    """Seconds of the whole command, and of training."""
    return {"seconds": found["command_seconds"], "training": found["seconds"]}


def main(reviews: Path, flags: Sequence[str]) -> None:
    show_machine()
    found = []
    for seed in range(SEEDS):
        with tempfile.TemporaryDirectory() as home:
            found.append(measure(reviews, flags, seed, Path(home)))
        show(f"seed {seed}", found[-1], MEASURES)
    rows = {
        name: {m: statistics.mean(one[name][m] for one in found) for m in MEASURES}
        for name in found[0]
    }
    show("mean", rows, MEASURES)
    record("update", rows, MEASURES)
    anew, update = rows["anew"], rows["update"]
    verdict("update : training anew, whole commands", update["seconds"] / anew["seconds"], 0.3)
    verdict("update : training anew, training", update["training"] / anew["training"], 0.3)
    points = 100 * abs(update["validation"] - anew["validation"])
    verdict("validation accuracy, points apart", points, 0.3)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:])
