"""Files of a run that come into place all at once, or not at all. Imports no TensorFlow."""

import contextlib
import errno
import os
import pathlib
import sys
from collections.abc import Iterator

from rnnapps.apps.run_info import RunInfo, files_in
from rnnapps.files import checksum, draft_folder, remove_tree, write


@contextlib.contextmanager
def draft_of(run_dir: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder to write files of a run in, from which `put_in_place` takes them.

    Args:
        run_dir: The run directory.

    Yields:
        The folder, empty.
    """
    run_dir = run_dir.resolve()
    with draft_folder(run_dir.parent, f".{run_dir.name}.draft-") as draft:
        draft.mkdir()
        yield draft


def put_in_place(draft: pathlib.Path, run_dir: pathlib.Path, info: RunInfo) -> RunInfo:
    """Gives a run the files of a draft, all or none of them, and writes its `run.json`.

    Only what the run itself wrote is replaced. A process that is killed in the middle leaves a
    hidden folder of what is still to be moved, and `recover` moves it.

    Args:
        draft: The draft, see `draft_of`.
        run_dir: The run directory; it appears whole where there is none.
        info: What is known of the run; its `checksums` are those of files that stay.

    Returns:
        The same with the checksums of the draft's files.

    Raises:
        PermissionError: If the run directory may only be read; it is as it was.
    """
    run_dir = run_dir.resolve()
    if run_dir.exists() and not os.access(run_dir, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(run_dir))
    sums = {str(path.relative_to(draft)): checksum(path) for path in files_in(draft)}
    info = info.model_copy(update={"checksums": {**info.checksums, **sums}})
    write(draft / "run.json", info.model_dump_json(indent=2) + "\n")
    if not run_dir.exists():
        draft.rename(run_dir)
        return info
    while True:
        try:
            draft.rename(_new_files(run_dir))
        except OSError:
            if not _finish(run_dir):  # what another process was about to move
                raise
        else:
            _finish(run_dir)
            return info


def recover(run_dir: pathlib.Path) -> None:
    """Finishes the writing of a run that was interrupted, and says so.

    Args:
        run_dir: The run directory.
    """
    if _finish(run_dir.resolve()):
        print(
            f"rnnapps: the writing of {run_dir} was interrupted, and is finished now.",
            file=sys.stderr,
        )


def _new_files(run_dir: pathlib.Path) -> pathlib.Path:
    """The hidden folder beside a run's of files that are whole and to be moved there."""
    return run_dir.with_name(f".{run_dir.name}.new")


def _finish(run_dir: pathlib.Path) -> bool:
    """Moves what is to be moved into a run; `run.json`, which says what the run owns, at last."""
    new = _new_files(run_dir)
    if not new.exists():
        return False
    before, after = RunInfo.read(run_dir), RunInfo.read(new)
    if before and after:
        for name in before.checksums.keys() - after.checksums.keys():
            (run_dir / name).unlink(missing_ok=True)
    for path in sorted(files_in(new), key=lambda path: path.name == "run.json"):
        target = run_dir / path.relative_to(new)
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another process has moved it
            path.replace(target)
    remove_tree(new)
    return True
