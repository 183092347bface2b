"""What is read in a browser or sent to a colleague: templates, filled in.

Nothing in a page comes from elsewhere.
"""

import base64
import functools
import pathlib
from typing import Any

import jinja2


def render(template: str, **values: Any) -> str:
    """Fills in a template.

    Args:
        template: The name of one of this folder's files; in those of HTML what is filled in is
            escaped.
        **values: What its names stand for.
    """
    return _environment().get_template(template).render(values)


def as_data_url(path: pathlib.Path) -> str:
    """A picture as a URL that holds it.

    Args:
        path: A PNG file.
    """
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("rnnapps", "pages"),
        autoescape=jinja2.select_autoescape(),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
