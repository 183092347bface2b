"""`rnnapps train`: trains an application, and saves the run. Starts without TensorFlow."""

import contextlib
import dataclasses
import itertools
import json
import re
import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rnnapps import workers
from rnnapps.apps.interrupted import forget_state, partial_dir, state_of
from rnnapps.apps.run import check_free, check_start
from rnnapps.apps.run_info import installed_versions
from rnnapps.cli.backend import import_tensorflow
from rnnapps.cli.flags import Group
from rnnapps.cli.settings import application_first, read_settings
from rnnapps.cli.together import cluster_of_run, local_workers
from rnnapps.config import TrainingConfig, read_toml
from rnnapps.data.cache import CacheOptions, cache_in
from rnnapps.errors import RunError
from rnnapps.files import enough_space

if TYPE_CHECKING:
    from rnnapps.apps.application import Application

_ASK = {  # what to try first
    "sentiment": "'I would see it again'",
    "chargen": "'The ' --length 200",
    "translation": "'le 3 mars 2021'",
    "tagging": "'We met Jordan near the old mill .'",
}


@dataclasses.dataclass(frozen=True)
class RunOptions(CacheOptions):
    """Where the run goes and how it is reported."""

    run_dir: Path | None = None
    """Run directory to write. By default a new folder in runs/."""
    config: Path | None = None
    """TOML file with settings; flags override it."""
    overwrite: bool = False
    """Replace a finished run in the same folder."""
    save_every: int | None = None
    """Also save the training state every this many steps, to resume from within an epoch. By
    default it is saved after each epoch."""
    threads: int | None = None
    """CPU cores to use. By default all available."""
    workers: int | None = None
    """Processes on this machine that share the training. For several machines, see TF_CONFIG."""
    json: bool = False
    """Print the results as JSON."""


def run(arguments: list[str]) -> None:
    """Runs the command."""
    name, rest = application_first("train", arguments)
    about = f"Trains {name}. Started again with the same --run-dir, it resumes."
    settings, found = read_settings("train", about, name, rest, run=Group(RunOptions))
    options = RunOptions(**found)
    cluster = cluster_of_run(settings.strategy, options.workers)
    if cluster is None:
        _run_training(name, settings, options)
        return
    same = {"application": name, "save_every": options.save_every, **settings.to_dict()}
    with local_workers(cluster, ["train", *arguments], options.threads) as (started, threads):
        options = dataclasses.replace(options, threads=threads)
        with workers.joined(cluster, started, versions=installed_versions(), settings=same):
            if cluster.is_chief:
                _run_training(name, settings, options)
            else:
                with enough_space(Path(tempfile.gettempdir())):
                    _trained(name, settings, options)


def _run_training(name: str, settings: TrainingConfig, options: RunOptions) -> None:
    run_dir = options.run_dir or _new_run_dir(name, settings)
    check_free(run_dir, name)
    _check_unfinished(run_dir, options)
    app = _trained(name, settings, options, run_dir)
    if options.json:
        info = app.info.model_dump(include={"source", "seconds"})
        print(json.dumps({"run_dir": str(run_dir), **info, **app.metrics}))
    else:
        _summarize(app, run_dir)


def _trained(
    name: str, settings: TrainingConfig, options: RunOptions, run_dir: Path | None = None
) -> "Application":
    if settings.init_from is not None:
        check_start(settings.init_from, name)  # says that there is none before TensorFlow is loaded
    import_tensorflow()
    from rnnapps.apps import application_class
    from rnnapps.apps.application import agreed
    from rnnapps.training import SaveEvery, use_cores

    use_cores(settings, options.threads)  # before the run that it starts from is loaded
    settings = agreed(settings, name)
    if run_dir:
        _check_unfinished(run_dir, options)  # another process may have finished it meanwhile
        if options.overwrite:
            forget_state(run_dir)
    try:
        saving = [] if options.save_every is None else [SaveEvery(options.save_every)]
        with cache_in(options.cache_dir):
            return application_class(name)(settings).fit(run_dir=run_dir, callbacks=saving)
    except KeyboardInterrupt:
        if run_dir and partial_dir(run_dir).exists() and not workers.lost():
            but = ", without --overwrite," if options.overwrite else ""
            print(
                f"\nrnnapps: the same command with --run-dir {run_dir}{but} resumes from the last "
                "complete epoch, or what --save-every kept.",
                file=sys.stderr,
            )
        raise


def _check_unfinished(run_dir: Path, options: RunOptions) -> None:
    """Refuses to replace a finished run, unless it is asked to, or was and has been interrupted."""
    begun = (partial_dir(run_dir) / "config.toml").exists()
    if not (options.overwrite or begun) and (run_dir / "config.toml").exists():
        raise RunError(
            f"{run_dir} already holds a finished run; choose another --run-dir, or --overwrite it."
        )


def _summarize(app: "Application", run_dir: Path) -> None:
    """Prints what was learned from, how long, how good it is, and what comes next."""
    from rnnapps.apps.card import ended
    from rnnapps.tables import show_training

    config, where = app.config, shlex.quote(str(run_dir))
    what = re.search(r"[a-z]+", app.info.fingerprint.partition(",")[0])  # such as texts
    parts = [f"{name} {size:,}" for name, size in app.info.sizes.items()]
    said = [f"{what[0]}: {', '.join(parts)}."] if what and parts else []
    if found := app.metrics.get("pretraining"):
        said.append(f"language model: perplexity {found['perplexity']:.1f} on the validation part")
    said.append(f"{ended(config, app.history, app.metrics)}.")
    said.append(f"run: {where} ({app.info.seconds:.0f} s); figures: {where}/figures")
    if getattr(config, "pretrain_only", False):
        show_training(said, {}, [f"rnnapps train {app.name} --init-from {where}"])
        return
    question = f" {_ASK[app.name]}" if app.name in _ASK else ""
    commands = [f"rnnapps evaluate {where}", f"rnnapps predict {where}{question}"]
    show_training(said, app.metrics.get("validation", {}), commands)


def _new_run_dir(name: str, settings: TrainingConfig) -> Path:
    """The first of runs/NAME, runs/NAME-2, ... that is free, or was interrupted with these."""
    for number in itertools.count(1):
        run_dir = Path("runs", name if number == 1 else f"{name}-{number}")
        interrupted = partial_dir(run_dir) / "config.toml"
        if run_dir.exists():
            continue
        if not interrupted.exists():
            return run_dir
        with contextlib.suppress(RunError), state_of(run_dir):  # else it is still running
            there = read_toml(interrupted)
            mine = there.pop("application", None) == name
            if mine and not settings.of_run(there).differences(settings):
                return run_dir
