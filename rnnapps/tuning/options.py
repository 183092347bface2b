"""The options of `tune` and `compare`, besides the settings. Imports no TensorFlow."""

import dataclasses
import os
import re
import socket
from pathlib import Path
from typing import Annotated, Literal

import tyro

from rnnapps.data.cache import CacheOptions
from rnnapps.errors import ConfigError, flag

_UNITS = {"s": 1, "m": 60, "h": 3600}


@dataclasses.dataclass(frozen=True)
class TuneOptions(CacheOptions):
    """How to search."""

    tuner: Literal["random", "hyperband", "bayesian"] = "random"
    """How trials are chosen."""
    trials: int | None = None
    """Trials, at most: by default 10, or all of Hyperband's; the first is the configuration as it
    stands, or the nearest to it in the ranges."""
    max_epochs: int | None = None
    """Epochs of a trial, at most; by default --epochs, or 10 where that is 0."""
    time_budget: str | None = None
    """Time for the whole search: 90s, 30m, 1h30m."""
    tune: str | None = None
    """Settings to tune, with commas between; by default those with a range of their own."""
    range: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Another range of a setting: units=64:512:64, learning_rate=1e-4:1e-2:log, cell=lstm,gru."""
    objective: str | None = None
    """The measure to improve on the validation part; by default the application's first."""
    project_dir: Path = Path("runs/tuning")
    """Where the search is kept. Started again with the same folder, it goes on."""
    workers: int = 1
    """Processes on this machine that run trials, each with its share of the cores."""
    role: Literal["chief", "worker"] | None = None
    """This process' part in a search over several machines, which share --project-dir."""
    oracle: str | None = None
    """HOST:PORT of the chief."""
    worker_id: str = f"worker-{socket.gethostname()}-{os.getppid()}".replace("chief", "c")
    """The worker's name: one that is started again under the same name goes on with its trial."""
    config: Path | None = None
    """A TOML file of settings; flags override it."""
    json: bool = False
    """Print the report as JSON."""

    def __post_init__(self):
        for name, least in (("trials", 1), ("workers", 1), ("max_epochs", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(
                    f"Expected {flag(name)} to be at least {least}. Received: {value}."
                )
        parse_duration(self.time_budget)

    @property
    def address(self) -> tuple[str, str]:
        """The chief's host and port; both are empty where there is no chief."""
        host, _, port = (self.oracle or "").rpartition(":")
        return host, port


@dataclasses.dataclass(frozen=True)
class CompareOptions:
    """What to compare."""

    range: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Values to compare: cell=lstm,gru; of several flags all combinations."""
    time_per_run: str | None = None
    """Time of each training: 90s, 5m; by default it has --epochs."""
    seeds: int = 3
    """Trainings of each contender; a seed divides the data, too."""
    objective: str | None = None
    """The measure on the validation part; by default the application's first."""
    project_dir: Path = Path("runs/comparison")
    """Where it is kept. Started again with the same folder, it goes on."""
    config: Path | None = None
    """A TOML file of settings; flags override it."""
    json: bool = False
    """Print the table as JSON."""

    def __post_init__(self):
        if self.seeds < 1:
            raise ConfigError(f"Expected --seeds to be at least 1. Received: {self.seeds}.")
        if not self.range:
            raise ConfigError("Expected --range with what to compare, such as cell=lstm,gru.")
        parse_duration(self.time_per_run, "--time-per-run")


def parse_duration(text: str | None, name: str = "--time-budget") -> float | None:
    """Seconds of a duration such as `90s`, `30m` or `1h30m`; a bare number is seconds.

    Args:
        text: The duration, or `None`.
        name: The flag that it is of.

    Returns:
        Seconds, or `None`.

    Raises:
        ConfigError: If the text is no duration above zero.
    """
    if text is None:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", text):
        seconds = float(text)
    elif re.fullmatch(r"(\d+(\.\d+)?[hms])+", text):
        parts = re.findall(r"([\d.]+)([hms])", text)
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    else:
        seconds = 0.0
    if seconds <= 0:
        raise ConfigError(
            f"Expected {name} to be a time such as 90s, 30m or 1h30m. Received: {text!r}."
        )
    return seconds


def complete(options: TuneOptions) -> TuneOptions:
    """Takes the role from KerasTuner's environment variables where no flag says it, and checks it.

    Args:
        options: The options as given.

    Returns:
        The options with `role`, `oracle` and `worker_id`.

    Raises:
        ConfigError: If a role comes without the chief's address, or the other way round.
    """
    role, oracle, worker_id = options.role, options.oracle, options.worker_id
    host = os.environ.get("KERASTUNER_ORACLE_IP")
    if role is None and oracle is None and host:
        oracle = f"{host}:{os.environ.get('KERASTUNER_ORACLE_PORT', '')}"
        worker_id = os.environ.get("KERASTUNER_TUNER_ID", worker_id)
        role = "chief" if "chief" in worker_id else "worker"
    if (role is None) != (oracle is None):
        raise ConfigError("Expected --role and --oracle together. Received: only one of them.")
    if oracle is not None and not re.fullmatch(r".+:\d+", oracle):
        raise ConfigError(f"Expected --oracle to be HOST:PORT. Received: {oracle!r}.")
    if role and options.workers > 1:
        raise ConfigError("Expected --workers, or --role and --oracle. Received: both.")
    # KerasTuner takes whoever has "chief" in its name for one; and the name is a file's.
    if role == "worker" and not re.fullmatch(r"(?!.*chief)[\w.-]+", worker_id):
        raise ConfigError(
            "Expected --worker-id to be letters, digits, dots and dashes, and not a chief's. "
            f"Received: {worker_id!r}."
        )
    return dataclasses.replace(options, role=role, oracle=oracle, worker_id=worker_id)
