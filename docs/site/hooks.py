"""What the site takes from elsewhere in the repository when MkDocs builds it."""

import ast
import contextlib
import functools
import io
import os
import pathlib
import re
import tempfile

from mkdocs.structure.files import File

HOME = pathlib.Path(__file__).resolve().parents[2]
REPOSITORY = "https://github.com/rnnapps/rnnapps/blob/main"
# Pages that stand elsewhere, as GitHub and people expect them there.
INCLUDED = (
    "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/RESULTS.md",
    "saved_models/README.md",
)  # fmt: skip
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")
CODE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_files(files, config):
    """Adds the pages that stand outside docs/."""
    for path in INCLUDED:
        files.append(File.generated(config, path, abs_src_path=str(HOME / path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Has links lead to where pages are on the site, and fills in what is generated."""
    source = page.file.src_uri
    home = HOME if source in INCLUDED else HOME / "docs"
    folder = (home / source).parent

    def moved(link):
        target = pathlib.Path(os.path.normpath(folder / link[1]))
        if not target.exists():
            return link[1]  # MkDocs says so
        path = target.relative_to(HOME).as_posix()
        here = path.removeprefix("docs/")
        if path in INCLUDED or files.get_file_from_path(here) is not None:
            return os.path.relpath(here, os.path.dirname(source) or ".")
        return f"{REPOSITORY}/{path}"

    parts = CODE.split(markdown)
    parts[::2] = [LINK.sub(moved, part) for part in parts[::2]]
    markdown = "".join(parts)
    if "<!-- command line -->" in markdown:
        markdown = markdown.replace("<!-- command line -->", command_line())
    return re.sub(r"<!-- public names of ([\w.]+) -->", public_names, markdown)


def public_names(found):
    """A section for each name of a package's `__all__` that the page has none for."""
    package = found[1]
    path = HOME / package.replace(".", "/") / "__init__.py"
    names = re.search(r"^__all__ = (\[.*?\])", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    wanted = [name for name in ast.literal_eval(names[1]) if not name.startswith("__")]
    written = re.findall(rf"^::: {package}\.(\w+)$", found.string, re.MULTILINE)
    return "\n".join(f"::: {package}.{name}\n" for name in wanted if name not in written)


@functools.cache
def command_line():
    """What `--help` of each command says, as sections."""
    from rnnapps.apps import APPLICATIONS

    overview = said("--help")
    parts = [fenced(overview)]
    for command in re.findall(r"^  (\w+)  ", overview.partition("commands:")[2], re.MULTILINE):
        if f"## {command}\n" in parts:
            continue
        parts += [f"## {command}\n", fenced(said(command, "--help"))]
        if "APPLICATION --help" in parts[-1]:
            parts += of_each(command, APPLICATIONS)
        elif "RUN_DIR --help" in parts[-1]:
            parts += of_each(command, APPLICATIONS, run=True)
    return "\n".join(parts)


def of_each(command, applications, run=False):
    """A command's help for each application; where `run`, for a run of it."""
    parts = []
    for application in applications:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            os.mkdir("RUN_DIR")
            pathlib.Path("RUN_DIR/config.toml").write_text(f'application = "{application}"\n')
            help_text = said(command, "RUN_DIR" if run else application, "--help")
        if help_text:
            parts += [f"### {command} {application}\n", fenced(help_text)]
    return parts


def said(*words):
    """What a command prints; nothing where there is none for such a run."""
    from rnnapps import cli

    output, there = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "96"
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
            status = cli.main(words)
    except SystemExit as end:
        status = end.code
    finally:
        os.environ.pop("COLUMNS") if there is None else os.environ.update(COLUMNS=there)
    return "" if status else output.getvalue()


def fenced(text):
    """A text as it is."""
    return f"```text\n{text.rstrip()}\n```\n"
