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
    """Search algorithm."""
    trials: int | None = None
    """Maximum number of trials. By default 10, or all of Hyperband's. The first is the
    configuration as it stands, or the closest to it within the ranges."""
    max_epochs: int | None = None
    """Maximum epochs of a trial. By default --epochs, or 10 if that is 0."""
    time_budget: str | None = None
    """Time for the whole search, such as 90s, 30m or 1h30m. By default unlimited."""
    tune: str | None = None
    """Settings to search, separated by commas. By default those with a range of their own."""
    range: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Range or values of a setting to search; can be repeated: units=64:512:64,
    learning_rate=1e-4:1e-2:log, cell=lstm,gru."""
    objective: str | None = None
    """Metric of the validation part to optimize. By default the application's main metric."""
    project_dir: Path = Path("runs/tuning")
    """Folder of the search. Started again with the same folder, it resumes."""
    workers: int = 1
    """Processes on this machine that run trials in parallel, each with its share of the cores."""
    role: Literal["chief", "worker"] | None = None
    """Role of this process in a search over several machines that share --project-dir."""
    oracle: str | None = None
    """Address of the chief, HOST:PORT."""
    worker_id: str = f"worker-{socket.gethostname()}-{os.getppid()}".replace("chief", "c")
    """Name of this worker. Started again with the same name, it resumes its trial."""
    config: Path | None = None
    """TOML file with settings; flags override it."""
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
        """The chief's host and port; both empty without a chief."""
        host, _, port = (self.oracle or "").rpartition(":")
        return host, port


@dataclasses.dataclass(frozen=True)
class CompareOptions:
    """What to compare."""

    range: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Values of a setting to compare, such as cell=lstm,gru; of several settings all
    combinations."""
    time_per_run: str | None = None
    """Training time of each run, such as 90s or 5m. By default each trains for --epochs."""
    seeds: int = 3
    """Runs of each combination, with different seeds, which also split the data differently."""
    objective: str | None = None
    """Metric of the validation part to compare. By default the application's main metric."""
    project_dir: Path = Path("runs/comparison")
    """Folder of the comparison. Started again with the same folder, it resumes."""
    config: Path | None = None
    """TOML file with settings; flags override it."""
    json: bool = False
    """Print the table as JSON."""

    def __post_init__(self):
        if self.seeds < 1:
            raise ConfigError(f"Expected --seeds to be at least 1. Received: {self.seeds}.")
        if not self.range:
            raise ConfigError("Expected --range with what to compare, such as cell=lstm,gru.")
        parse_duration(self.time_per_run, "--time-per-run")


def parse_duration(text: str | None, name: str = "--time-budget") -> float | None:
    """Parses a duration such as `90s`, `30m` or `1h30m`; a bare number is seconds.

    Args:
        text: The duration, or `None`.
        name: Its flag.

    Returns:
        Seconds, or `None`.

    Raises:
        ConfigError: If the text is not a positive duration.
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
    """Fills in the role from KerasTuner's environment variables, and validates it.

    Args:
        options: The options as given; they take precedence.

    Returns:
        The options with `role`, `oracle` and `worker_id`.

    Raises:
        ConfigError: If only one of role and chief's address is given.
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
    # KerasTuner takes any name that contains "chief" for the chief's; the name is a file name.
    if role == "worker" and not re.fullmatch(r"(?!.*chief)[\w.-]+", worker_id):
        raise ConfigError(
            "Expected --worker-id to be letters, digits, dots and dashes, and not a chief's. "
            f"Received: {worker_id!r}."
        )
    return dataclasses.replace(options, role=role, oracle=oracle, worker_id=worker_id)
