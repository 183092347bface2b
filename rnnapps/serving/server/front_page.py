"""The front page: models, and an example request for each signature."""

import json
import shlex
import urllib.parse
from collections.abc import Mapping
from typing import Any

import rnnapps
from rnnapps.errors import RunError
from rnnapps.files import read_json
from rnnapps.pages import render
from rnnapps.serving.server.model_manager import ModelManager
from rnnapps.serving.server.servable import Servable
from rnnapps.serving.server.status import Code, StatusError

_INLINE = 2000  # characters of a request to put in a curl line; longer ones are fetched


def describe(manager: ModelManager, address: str) -> dict[str, Any]:
    """Describes the models of a server.

    Args:
        manager: The models.
        address: The server's address, such as `http://127.0.0.1:8501`.

    Returns:
        `version`, of rnnapps; and `models`: `name`, `about`, `versions` with their states, and
        `signatures` with `inputs`, `outputs` and the `curl` line of an example, if there is one.
    """
    models = [_describe(manager, name, address) for name in manager.names]
    return {"version": rnnapps.__version__, "models": models}


def example(manager: ModelManager, model: str, signature: str) -> bytes:
    """The example request of a signature, ready to send to the model.

    Args:
        manager: The models.
        model: The model's name.
        signature: The signature's name.

    Raises:
        StatusError: If there is no example.
    """
    found = _card(manager.get(model)).get("requests", {}).get(signature)
    if found is None:
        raise StatusError(Code.NOT_FOUND, f"No example for the signature {signature} of {model}")
    return json.dumps(found).encode()


def as_html(described: Mapping[str, Any]) -> bytes:
    """The front page, from the output of `describe`."""
    return render("models.html", **described).encode()


def _describe(manager: ModelManager, name: str, address: str) -> dict[str, Any]:
    versions = [
        {"version": number, "state": state.name, "message": state.message}
        for number, state in manager.states(name).items()
    ]
    try:
        served = manager.get(name)
    except StatusError:
        return {"name": name, "about": "", "versions": versions, "signatures": []}
    card = _card(served)
    about = ", of the data ".join(str(card[key]) for key in ("application", "data") if key in card)
    requests = card.get("requests", {})
    signatures = [
        {
            "name": key,
            "inputs": [_told(one, info) for one, info in sorted(signature.inputs.items())],
            "outputs": [_told(one, info) for one, info in sorted(signature.outputs.items())],
            "curl": _curl(address, name, key, requests[key]) if key in requests else "",
        }
        for key, signature in sorted(served.signatures.items(), key=_default_first)
        if not key.startswith("__")
    ]
    return {"name": name, "about": about, "versions": versions, "signatures": signatures}


def _default_first(named: tuple[str, Any]) -> tuple[bool, str]:
    return named[0] != "serving_default", named[0]


def _card(served: Servable) -> dict[str, Any]:
    """The export's model card; empty for exports not made by rnnapps."""
    try:
        card = read_json(served.path / "model_card.json")
    except RunError:
        return {}
    return card if isinstance(card.get("requests"), dict) else {}


def _told(name: str, info: Any) -> str:
    """A tensor's description, such as `text: string [batch]`."""
    sizes = [str(dim.size) if dim.size >= 0 else "?" for dim in info.tensor_shape.dim]
    if sizes and sizes[0] == "?":
        sizes[0] = "batch"
    return f"{name}: {Servable.kind(info)} [{', '.join(sizes)}]"


def _curl(address: str, model: str, signature: str, request: Any) -> str:
    """The shell command that sends an example."""
    url = f"{address}/v1/models/{urllib.parse.quote(model, safe='')}:predict"
    body = json.dumps(request, ensure_ascii=False)
    if len(body) <= _INLINE:
        return f"curl -d {shlex.quote(body)} {shlex.quote(url)}"
    path = "/".join(urllib.parse.quote(part, safe="") for part in (model, signature))
    return f"curl -s {shlex.quote(f'{address}/examples/{path}')} | curl -d @- {shlex.quote(url)}"
