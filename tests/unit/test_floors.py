"""Imports go down the floors of docs/architecture.md, never up; app.py stays short."""

import ast
import pathlib

import pytest

import rnnapps

HOME = pathlib.Path(rnnapps.__file__).parent
# Top to bottom; rooms on one floor may use each other, but for the applications.
FLOORS = [
    {"cli", "demo"},
    {"tuning", "quickstart", "new"},
    {"apps"},
    {"training", "serving"},
    {"data", "text", "decoding", "probabilistic", "layers"},
    {
        "figures",
        "tables",
        "metrics",
        "pages",
        "progress",
        "workers",
        "doctor",
        "standard_input",
        "assertions",
        "spans",
    },
    {"config", "cores", "errors", "files", "compatibility"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
APPLICATIONS = {path.parent.name for path in HOME.glob("apps/*/app.py")}
FILES = sorted(path for path in HOME.rglob("*.py") if "templates" not in path.parts)


def imports(path: pathlib.Path):
    """The modules and names of rnnapps that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            yield from ((node.module, alias.name) for alias in node.names)


def room(module: str) -> str:
    return [*module.split("."), ""][1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOME)))
def test_imports_go_down(path):
    module = ".".join(("rnnapps", *path.relative_to(HOME).with_suffix("").parts))
    mine = room(module)
    if mine in ("__init__", "__main__"):
        return
    for imported, name in imports(path):
        if imported.split(".")[0] != "rnnapps":
            continue
        where = f"{imported} {name}"
        assert not name.startswith("_") or name == "__version__", f"a private name: {where}"
        other = room(imported) or room(f"rnnapps.{name}")
        if other not in FLOOR:  # rnnapps' own public names, or `reference`
            assert mine == other or other.startswith("__") or not other.islower(), where
            continue
        assert mine != "reference", f"reference/ stands alone: {where}"
        assert FLOOR[mine] <= FLOOR[other], f"an import that goes up: {where}"
        sideways = False
        if mine == other == "apps":
            theirs = [*imported.split("."), name][2]
            sideways = theirs in APPLICATIONS and theirs != module.split(".")[2]
        assert not sideways, f"an import from another application: {where}"


@pytest.mark.parametrize("path", sorted(HOME.glob("apps/*/config.py")), ids=lambda p: p.parent.name)
def test_a_configuration_imports_no_tensorflow(path):
    heavy = ("tensorflow", "keras", "rnnapps.layers", "rnnapps.training", "rnnapps.text")
    assert not [module for module, _ in imports(path) if module.startswith(heavy)]


@pytest.mark.parametrize("name", sorted(APPLICATIONS))
def test_app_py_holds_the_verbs_alone(name):
    assert len((HOME / "apps" / name / "app.py").read_text("utf-8").splitlines()) < 200
