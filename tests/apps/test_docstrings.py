"""Walks the public names, and holds each docstring against what it describes."""

import ast
import dataclasses
import doctest
import importlib
import inspect
import itertools
import pathlib
import re
import textwrap

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from eager import eagerly

import rnnapps
from rnnapps.apps import APPLICATIONS, config_class
from rnnapps.config import Config

pytestmark = pytest.mark.system

SECTIONS = ("Args", "Call arguments", "Output", "Returns", "Yields", "Raises", "Reference")
PACKAGES = sorted(
    f"rnnapps.{path.parent.name}"
    for path in pathlib.Path(rnnapps.__file__).parent.glob("*/__init__.py")
    if "__all__" in path.read_text()
)
PUBLIC = {
    f"{package}.{name}": getattr(importlib.import_module(package), name)
    for package in ["rnnapps", *PACKAGES]
    for name in importlib.import_module(package).__all__
}
DOCUMENTED = {name: one for name, one in PUBLIC.items() if callable(one)}
# What Keras calls, and the class' own docstring describes.
OF_KERAS = {
    *dir(keras.layers.Layer), *dir(keras.callbacks.Callback), "call", "get_initial_state",
    "save_assets", "load_assets",
}  # fmt: skip


def sections(docstring):
    """The text of each section; under an empty name what stands before them."""
    parts = re.split(rf"^({'|'.join(SECTIONS)}):\s*$", docstring, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def named(section):
    """The names that a section explains: `name: text`, one level in; `a, b: text` too."""
    found = re.findall(r"^    (\*{0,2}\w+(?:, \*{0,2}\w+)*):(?:\s|$)", section, re.MULTILINE)
    return [name.lstrip("*") for names in found for name in names.split(", ")]


def parameters(function):
    return [name for name in inspect.signature(function).parameters if name != "self"]


def raised(function):
    """The exceptions that a function's source raises itself."""
    if not inspect.isfunction(function):  # the constructor that a dataclass is given
        return set()
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    calls = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc]
    names = {ast.unparse(one.func if isinstance(one, ast.Call) else one) for one in calls}
    return {name for name in names if name[0].isupper() and name != "NotImplementedError"}


def own_methods(one):
    """The public methods that a class defines, as functions."""
    for name, method in vars(one).items():
        method = getattr(method, "__func__", method)
        if inspect.isfunction(method) and not name.startswith("_") and name not in OF_KERAS:
            yield name, method


def complaints(docstring, function, what="", whole=True):
    """What a docstring lacks of a function or a class whose constructor the function is."""
    if not docstring:
        return [f"{what}: no docstring"]
    found, said = sections(inspect.cleandoc(docstring)), []
    summary = found[""].strip().split("\n\n")[0]
    if not summary.endswith((".", ":")):
        said.append(f"{what}: the summary does not end: {summary!r}")
    names = parameters(function)
    if (whole or "Args" in found) and named(found.get("Args", "")) != names:
        said.append(f"{what}: Args {named(found.get('Args', ''))}, parameters {names}")
    missing = raised(function) - set(named(found.get("Raises", "")))
    if (whole or "Args" in found) and missing:
        said.append(f"{what}: raises {sorted(missing)}")
    return said


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_docstring_says_what_there_is(name):
    one, said = DOCUMENTED[name], []
    docstring = vars(one).get("__doc__") if inspect.isclass(one) else one.__doc__
    if inspect.isclass(one):
        said += of_class(one, docstring)
    else:
        said += complaints(docstring, one)
        returns = inspect.signature(one).return_annotation
        found = sections(inspect.cleandoc(docstring))
        if returns not in (None, inspect.Signature.empty) and not {"Returns", "Yields"} & {*found}:
            said.append("no Returns")
    assert not said


def of_class(one, docstring):
    if issubclass(one, Exception):
        return [] if docstring else ["no docstring"]
    if issubclass(one, Config):
        return []  # each field has its own, of which the flags' help is made: see below
    said = []
    if dataclasses.is_dataclass(one) or hasattr(one, "_fields"):
        said += complaints(docstring, one)
    elif "__init__" in vars(one):
        said += complaints(docstring, one.__init__)
    if issubclass(one, keras.layers.Layer) and "call" in vars(one):
        found = sections(inspect.cleandoc(docstring))
        if named(found.get("Call arguments", "")) != parameters(one.call):
            said.append(f"Call arguments of {parameters(one.call)}")
        if "Output" not in found:
            said.append("no Output")
    for name, method in own_methods(one):  # which may have the docstring of what they override
        said += complaints(inspect.getdoc(getattr(one, name)), method, name, whole=False)
    return said


@pytest.mark.parametrize("application", APPLICATIONS)
def test_each_setting_has_a_line(application):
    one = config_class(application)
    body = ast.parse(inspect.getsource(inspect.getmodule(one))).body
    body = next(node.body for node in body if isinstance(node, ast.ClassDef))
    pairs = itertools.pairwise(body)
    said = {before.target.id for before, after in pairs
            if isinstance(before, ast.AnnAssign) and isinstance(after, ast.Expr)}  # fmt: skip
    fields = [node for node in body if isinstance(node, ast.AnnAssign)]
    assert {one.target.id for one in fields if ast.unparse(one.annotation) != "ClassVar"} == said


# Examples that need more than a process and a few seconds, and where the same is tested.
NOT_RUN = {
    "rnnapps.serving.Client": "a server: tests/unit/serving/test_client.py",
    "rnnapps.serving.Server": "exports: tests/unit/serving/test_client.py",
    "rnnapps.tuning.HyperApplication": "five trainings: tests/apps/tuning/test_search.py",
}
EXAMPLES = [
    name for name, one in DOCUMENTED.items()
    if ">>>" in (one.__doc__ or "") and name not in NOT_RUN
]  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_does_what_it_says(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    package = name.rpartition(".")[0]
    near_last = sorted(PUBLIC, key=lambda full: full.rpartition(".")[0] == package)
    public = {full.rpartition(".")[2]: PUBLIC[full] for full in near_last}
    names = {**public, "keras": keras, "np": np, "pd": pd, "tf": tf}
    docstring = inspect.cleandoc(DOCUMENTED[name].__doc__)
    example = doctest.DocTestParser().get_doctest(docstring, names, name, None, None)
    said = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    with eagerly():
        runner.run(example, out=said.append)
    assert not said, "".join(said)


def test_each_example_that_is_not_run_is_there():
    assert all(">>>" in DOCUMENTED[name].__doc__ for name in NOT_RUN)
