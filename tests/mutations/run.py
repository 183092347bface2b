"""Are faults found? Puts each into a copy of the code and runs the test that it names.

`make mutations` runs all; `python tests/mutations/run.py layers files` runs some.
"""

import importlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
# Imported once, and inherited by the process of each fault; rnnapps itself is not.
HEAVY = ("tensorflow", "tensorflow_text", "keras_tuner", "pandas", "sacrebleu", "sklearn.pipeline")


def tests_of(patch: pathlib.Path) -> list[str]:
    """What ought to fail: files, or tests in them."""
    return re.findall(r"^Test: (.+)$", patch.read_text("utf-8"), re.MULTILINE)


def run_tests(tests: list[str], copy: pathlib.Path) -> int:
    """Runs tests of the copy in a process of their own; returns pytest's exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        os.chdir(copy)
        os.environ["PYTHONPATH"] = str(copy)  # for the processes that tests start
        sys.path.insert(0, str(copy))
        with open("said", "w") as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
        status = pytest.main(["-x", "-m", "not system", "-p", "no:cacheprovider", *tests])
        sys.stdout.flush()
    finally:
        os._exit(int(status))


def outcome(patch: pathlib.Path, copy: pathlib.Path) -> str:
    """Puts the fault into the copy, runs its tests, and takes it out again."""
    applied = subprocess.run(["git", "apply", patch], cwd=copy, capture_output=True, text=True)
    if applied.returncode:
        return f"does not apply: {applied.stderr.strip()}"
    try:
        status = run_tests(tests_of(patch), copy)
    finally:
        subprocess.run(["git", "apply", "--reverse", patch], cwd=copy, check=True)
    # 1: tests failed. Anything else but 0 is no finding: no such test, or none that could run.
    said = (copy / "said").read_text("utf-8")
    return {0: "NOT FOUND", 1: "found"}.get(status, f"cannot run:\n{said[-2000:]}")


def main(names: list[str]) -> int:
    """Tries the named faults, or all; returns 1 if one is not found."""
    patches = [one for one in sorted(HERE.glob("*.patch")) if not names or one.stem in names]
    missed = 0
    for name in HEAVY:
        importlib.import_module(name)
    sys.dont_write_bytecode = True  # two faults may be put into one file within a second
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "copy"
        # What git knows of, as it stands here: also what is not committed.
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        files = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout
        for name in filter(None, files.decode().split("\0")):
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                (copy / name).write_bytes((ROOT / name).read_bytes())
        for patch in patches:
            said = outcome(patch, copy)
            missed += said != "found"
            print(f"{patch.stem:15} {said}", flush=True)
    print(f"{len(patches) - missed} of {len(patches)} found")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
