"""A reader who types what a page says: its shell and its Python, with small settings."""

import contextlib
import json
import pathlib
import re
import shlex
import shutil
import subprocess

import pandas as pd
from eager import eagerly

from rnnapps import cli
from rnnapps.serving import Server

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SMALL = {
    "sentiment": {"units": 4, "embedding_dim": 4, "epochs": 1, "data": "reviews.csv"},
    "chargen": {"units": 4, "embedding_dim": 4, "epochs": 1, "window": 16},
    "translation": {
        "units": 4, "embedding_dim": 4, "epochs": 1, "max_tokens": 40, "beam_width": 1,
    },
    "forecasting": {"units": 4, "epochs": 1, "lookback": 24},
    "tagging": {"units": 4, "embedding_dim": 4, "epochs": 1},
}  # fmt: skip


def blocks(path):
    """A page's code, without its comments: `sh` or `python`, and the lines."""
    found = BLOCK.findall(path.read_text("utf-8"))
    return [(kind, re.sub(r"(^| +)#.*$", "", code, flags=re.MULTILINE)) for kind, code in found]


def write_files(folder):
    """The reader's own files, by the names that the pages give them."""
    rows = [(f"a {word} film of {i} minutes", label) for i in range(40)
            for word, label in (("fine", "1"), ("dull", "0"))]  # fmt: skip
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(folder / "reviews.csv", index=False)
    (folder / "book.txt").write_text("the cat sat on the mat\n" * 100)
    (folder / "pairs.tsv").write_text("".join(f"number {i}\t{i}\n" for i in range(80)))
    times = pd.date_range("2024-01-01", periods=400, freq="h")
    table = {"time": times, "load": [100 + (i % 24) for i in range(400)]}
    pd.DataFrame(table).to_csv(folder / "load.csv", index=False)
    names = "".join(f"May B-name\nmet O\n{i} O\n\n" for i in range(60))
    (folder / "names.conll").write_text(names)


class Reader:
    """Types the lines of pages in the working folder.

    Args:
        stack: An ExitStack that ends what keeps running.
        trained: Runs by the line that trained them, which is typed once for all pages.
    """

    def __init__(self, stack, trained=None):
        self.stack, self.trained = stack, trained
        self.names = {"__name__": "page"}
        self.ports = {"8501": "8501", "8500": "8500"}

    def read(self, path):
        """Types a page from its beginning to its end; returns what its Python has defined."""
        for kind, code in blocks(path):
            if kind == "python":
                with self.mode([]):
                    exec(self.at_ports(code), self.names)
                continue
            for line in code.replace("\\\n", " ").splitlines():
                if line.strip():
                    self.type(self.at_ports(line))
        return self.names

    def type(self, line):
        """Runs a line of shell; `rnnapps` in this process."""
        words = shlex.split(line)
        if words[0] == "curl":
            command = ["curl", "--silent", "--show-error", *words[1:]]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            print(json.dumps(json.loads(answer)))
        elif words[:2] == ["rnnapps", "serve"]:
            self.serve(words)
        else:
            assert words[0] == "rnnapps", line
            self.run(words[1:], line)

    def mode(self, words):
        """Step by step, but for what needs graphs: exports, replicas, and what XLA compiles."""
        in_graphs = {"export", "mirrored", "--jit"} & {*words}
        return contextlib.nullcontext() if in_graphs else eagerly()

    def serve(self, words):
        """Serves in this process."""
        server = self.stack.enter_context(Server(words[2], rest_port=0, grpc_port=0))
        self.ports = {"8501": str(server.rest_port), "8500": str(server.grpc_port)}

    def run(self, words, line):
        """Runs `rnnapps`; what trains, at sample size, and once for all pages."""
        command, *rest = words
        if command in ("train", "tune", "compare") and rest[0] in SMALL:
            for name, value in SMALL[rest[0]].items():
                if name != "data" or "--data" not in words:
                    words = [*words, f"--{name.replace('_', '-')}", str(value)]
            words += ["--trials", "1"] if command == "tune" else []
        if command != "train" or self.trained is None or "--run-dir" not in words:
            with self.mode(words):
                assert cli.main(words) == 0, line
            return
        run_dir = pathlib.Path(words[words.index("--run-dir") + 1])
        if line not in self.trained:
            with self.mode(words):
                assert cli.main(words) == 0, line
            self.trained[line] = run_dir.resolve()
        else:
            shutil.copytree(self.trained[line], run_dir)

    def at_ports(self, code):
        """Code that asks where the server listens."""
        return re.sub(r"\b850[01]\b", lambda found: self.ports[found[0]], code)
