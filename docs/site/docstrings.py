"""Reads rnnapps' docstrings, which are in Keras' form, for mkdocstrings; imports nothing of it."""

import ast
import logging
import re

import griffe

LOG = logging.getLogger("mkdocs.docstrings")


class Docstrings(griffe.Extension):
    """Reads sections of Keras' form, and finds public names that are loaded on first use."""

    def on_instance(self, *, obj, **_):
        """Puts a docstring's sections into griffe's form: arguments of a call, and the example."""
        if obj.docstring is None or obj.is_alias:
            return
        text, example, code = obj.docstring.value.partition("\nExample:\n")
        text = re.sub(r"^Call arguments:$", "Parameters: Call arguments:", text, flags=re.MULTILINE)
        obj.docstring.value = f"{text}\nExample:\n\n```pycon\n{code}\n```\n" if example else text

    def on_attribute_instance(self, *, attr, **_):
        """Takes the comment behind a constant for its docstring."""
        comment = re.search(r"  # (.+)", attr.lines[0]) if attr.lines else None
        if attr.docstring is None and comment and attr.name.isupper():
            attr.docstring = griffe.Docstring(f"{comment[1]}.", parent=attr)

    def on_package(self, *, pkg, loader, **_):
        """Gives packages the names that they import on first use, and warns of those unsaid."""
        packages = [pkg, *(one for one in pkg.modules.values() if one.is_init_module)]
        for package in packages:
            for name, home in homes(package).items():
                package.set_member(name, griffe.Alias(name, f"{home}.{name}", parent=package))
        loader.resolve_aliases(implicit=True)
        for package in packages:
            for name in map(str, package.exports or ()):
                if not name.startswith("__") and not package[name].has_docstring:
                    LOG.warning("%s.%s: no docstring", package.path, name)  # a strict build fails


def homes(package):
    """The module of each name in a package's `_HOMES`, or in the `_NAMES` that it is made of."""
    tables = {
        ast.unparse(node.targets[0]): node.value
        for node in ast.parse(package.filepath.read_text("utf-8")).body
        if isinstance(node, ast.Assign)
    }
    if "_NAMES" in tables:
        names = ast.literal_eval(tables["_NAMES"])
        return {
            one: f"{package.path}.{module}" for module in names for one in names[module].split(", ")
        }
    return ast.literal_eval(tables["_HOMES"]) if "_HOMES" in tables else {}
