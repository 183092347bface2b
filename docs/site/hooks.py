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
INCLUDED = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/RESULTS.md": "results.md",
    "saved_models/README.md": "exported-models.md",
}
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")
CODE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_files(files, config):
    """Adds the pages that stand outside docs/."""
    for path, name in INCLUDED.items():
        files.append(File.generated(config, name, abs_src_path=str(HOME / path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Has links lead to where pages are on the site, and fills in what is generated."""
    source = page.file.src_uri
    folder = pathlib.Path(page.file.abs_src_path).parent

    def moved(link):
        target = pathlib.Path(os.path.normpath(folder / link[1]))
        if not target.exists():
            return link[1]  # MkDocs says so
        path = target.relative_to(HOME).as_posix()
        here = INCLUDED.get(path, path.removeprefix("docs/"))
        if files.get_file_from_path(here) is not None:
            return os.path.relpath(here, os.path.dirname(source) or ".")
        return f"{REPOSITORY}/{path}"

    parts = CODE.split(markdown)
    parts[::2] = [LINK.sub(moved, part) for part in parts[::2]]
    markdown = "".join(parts)
    if "<!-- command line -->" in markdown:
        markdown = markdown.replace("<!-- command line -->", command_line())
    return re.sub(r"<!-- public names of ([\w.]+)(?:: ([\w ]+))? -->", public_names, markdown)


def public_names(found):
    """A section for each of some names, or for each of a package's `__all__` that is not there."""
    package, some = found.groups()
    if some:
        return "\n".join(section(f"{package}.{name}", 3) for name in some.split())
    path = HOME / package.replace(".", "/") / "__init__.py"
    names = re.search(r"^__all__ = (\[.*?\])", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    wanted = [name for name in ast.literal_eval(names[1]) if not name.startswith("__")]
    written = " ".join(re.findall(rf"<!-- public names of {package}: (.*?) -->", found.string))
    others = [name for name in wanted if name not in written.split()]
    return "\n".join(section(f"{package}.{name}", 3 if written else 2) for name in others)


def section(name, level):
    """What mkdocstrings makes the section of a name of."""
    return f"::: {name}\n    options: {{heading_level: {level}}}\n"


@functools.cache
def command_line():
    """What `--help` of each command says, as sections."""
    from rnnapps.apps import APPLICATIONS

    overview = said("--help")
    parts = [fenced(overview)]
    for command in re.findall(r"^  (\w+)", overview.partition("commands:")[2], re.MULTILINE):
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
    os.environ["COLUMNS"] = "84"
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
