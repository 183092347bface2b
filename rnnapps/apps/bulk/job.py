"""A prediction job, whose finished parts are kept, so that a killed job resumes.

A finished part is a file that appears by a rename. At the end the parts are joined in their order,
or stay in a directory as they are. A manifest says of what input, model and settings they are.
"""

import contextlib
import dataclasses
import json
import pathlib
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import rnnapps
from rnnapps.apps.bulk.answering import Answering
from rnnapps.apps.bulk.parts import Answered, Cut
from rnnapps.apps.bulk.question import Question
from rnnapps.errors import RnnappsError, RunError
from rnnapps.files import alone, checksum, draft_file, enough_space, read_json, remove_tree, write
from rnnapps.progress import counting, working

Engine = Callable[[Answering, Cut], Iterable[Answered]]
_MANIFEST = "manifest.json"


def print_answers(question: Question, engine: Engine) -> int:
    """Writes answers to standard output as they come.

    Args:
        question: The files and the model.
        engine: Who answers, in the parts' order.

    Returns:
        The number of rows.

    Raises:
        DataError: If a file cannot be read, or has no such column.
        ConfigError: If the format cannot be written.
    """
    answering, cut = question.read(None)
    done, total = 0, sum(cut.sizes)
    with contextlib.ExitStack() as stack:
        if not sys.stdout.isatty():  # no bar between answers
            show = stack.enter_context(counting("answering", "rows"))
        for part in engine(answering, cut):
            _warn(part)
            sys.stdout.write(part.content.decode("utf-8"))
            sys.stdout.flush()
            done += part.rows
            if not sys.stdout.isatty():
                show(done, done / total)
    if not total:
        sys.stdout.write(answering.writer.part((), answering.names).decode("utf-8"))
    return total


def answer_files(question: Question, output: pathlib.Path, folder: bool, engine: Engine) -> int:
    """Answers for the rows of files, in bounded memory; goes on where a killed one was.

    Args:
        question: The files and the model.
        output: The file to write, which appears whole; or the directory for a file for each part.
        folder: Whether it is a directory.
        engine: Who answers.

    Returns:
        The number of rows.

    Raises:
        DataError: If a file cannot be read, or has no such column.
        ConfigError: If the format cannot be written.
        RunError: If what is there already is of something else, or another process writes it.
    """
    output = output.resolve()
    if output in [source.resolve() for source in question.sources]:
        raise RunError(f"Expected --output to be a file of its own. Received: the input, {output}.")
    state = output if folder else output.with_name(f".{output.name}.partial")
    answering, cut = question.read(output, folder)
    manifest = _manifest_of(question, answering)
    with _job(state, output, manifest):
        count, suffix = len(cut.sizes), answering.writer.format
        paths = [state / f"part-{number:06}.{suffix}" for number in range(max(1, count))]
        finished = frozenset(number for number, path in enumerate(paths) if path.is_file())
        if not count:
            _keep(paths[0], answering.writer.part((), answering.names))
        elif len(finished) < count:
            todo = dataclasses.replace(cut, finished=finished)
            _answer(engine(answering, todo), paths, cut.sizes, finished)
        if folder:
            write(state / _MANIFEST, _shown({**manifest, "rows": sum(cut.sizes)}))
        else:
            with enough_space(output.parent):
                answering.writer.join(paths, state / "whole", output.suffix == ".gz")
                (state / "whole").replace(output)
            remove_tree(state)
    return sum(cut.sizes)


def _answer(
    found: Iterable[Answered],
    paths: Sequence[pathlib.Path],
    sizes: Sequence[int],
    finished: frozenset[int],
) -> None:
    """Keeps the parts as they come, and shows how far they are."""
    total, done = sum(sizes), sum(sizes[number] for number in finished)
    with contextlib.ExitStack() as stack:
        show = stack.enter_context(counting("answering", "rows"))
        if isinstance(found, Iterator) and hasattr(found, "close"):
            stack.callback(found.close)  # the workers end
        for part in found:
            _warn(part)
            _keep(paths[part.number], part.content)
            done += part.rows
            show(done, done / total)
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise RuntimeError(f"Nobody answered for {', '.join(missing)}.")


def _keep(path: pathlib.Path, content: bytes) -> None:
    with draft_file(path) as draft:
        draft.write_bytes(content)


def _warn(part: Answered) -> None:
    for note in part.notes:
        warnings.warn(note, stacklevel=2)


@contextlib.contextmanager
def _job(state: pathlib.Path, output: pathlib.Path, manifest: dict[str, Any]) -> Iterator[None]:
    """Holds the folder of a job's parts, if it is this job's."""
    if state != output and output.exists() and not output.is_file():
        raise RunError(f"Expected --output to be a file or a directory. Received: {output}.")
    if state == output and output.exists() and not output.is_dir():
        raise RunError(f"Expected --output to be a directory. Received: a file, {output}.")
    new = not state.exists()
    state.mkdir(parents=True, exist_ok=True)
    lock = state / ".lock"
    with alone(lock, f"{output} is being written by another process."):
        try:
            _take(state, output, manifest)
            yield
        except RnnappsError:  # a mistake, which nothing was answered before
            if new and not any(state.glob("part-*")):
                remove_tree(state)
            raise
        finally:
            lock.unlink(missing_ok=True)


def _take(state: pathlib.Path, output: pathlib.Path, manifest: dict[str, Any]) -> None:
    path = state / _MANIFEST
    for left in state.glob(".*.draft"):
        left.unlink()
    if path.exists():
        kept = read_json(path)
        other = [name for name in manifest if name != "files" and kept.get(name) != manifest[name]]
        if other:
            said = ", ".join(_difference(name, kept.get(name), manifest[name]) for name in other)
            raise RunError(
                f"{output} has been begun with other settings ({said}); delete {state}, or choose "
                "another --output."
            )
        return
    if state == output and any(one.name != ".lock" for one in state.iterdir()):
        raise RunError(f"{output} holds something else than answers; choose another --output.")
    write(path, _shown(manifest))


def _shown(manifest: dict[str, Any]) -> str:
    return json.dumps(manifest, indent=2) + "\n"


def _difference(name: str, there: Any, here: Any) -> str:
    short = isinstance(here, str | int) and len(str(here)) < 40
    return f"{name}: {there} there, {here} here" if short else f"another {name}"


def _manifest_of(question: Question, answering: Answering) -> dict[str, Any]:
    """What the answers depend on."""
    with working("taking checksums"):
        sums = [checksum(source) for source in question.sources]
        model = question.model.checksum()
    found = {
        "files": [str(source) for source in question.sources],
        "input": sums,
        "model": model,
        "column": answering.column,
        "format": answering.writer.format,
        "part_rows": question.part_rows,
        **question.model.settings,
        "rnnapps": rnnapps.__version__,
    }
    return json.loads(json.dumps(found))  # as it will be read
