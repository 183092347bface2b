"""The page: a tab for each model. It loads nothing from elsewhere, and tells nobody of its use."""

import os
import socket
from collections.abc import Callable, Sequence

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read as it is imported
os.environ["GRADIO_DEFAULT_CONCURRENCY_LIMIT"] = "8"  # people who are answered at a time
os.environ["HF_HUB_OFFLINE"] = "1"

import gradio as gr

from rnnapps.demo import chargen, forecasting, sentiment, tagging, translation
from rnnapps.demo.marks import CSS, alert
from rnnapps.demo.models import Shown
from rnnapps.demo.phrases import I18N, phrase
from rnnapps.errors import RnnappsError, RunError

_TABS: dict[str, Callable[[Shown, gr.Blocks], None]] = {
    "sentiment": sentiment.build,
    "chargen": chargen.build,
    "translation": translation.build,
    "forecasting": forecasting.build,
    "tagging": tagging.build,
}
_BUTTON = tuple(  # on which white text can be read, dark or light
    f"button_primary_background_fill{state}{scheme}"
    for state in ("", "_hover")
    for scheme in ("", "_dark")
)
_HOST = "127.0.0.1"
_UPLOAD = "50mb"


def build(models: Sequence[Shown]) -> gr.Blocks:
    """Builds the page.

    Args:
        models: The models.
    """
    with gr.Blocks(title="rnnapps", analytics_enabled=False) as page:
        gr.Markdown("# rnnapps")
        gr.Markdown(phrase("about"))
        with gr.Tabs():
            for model in models:
                with gr.Tab(model.name):
                    try:
                        _TABS[model.application](model, page)
                    except RnnappsError as error:  # the other tabs work
                        gr.HTML(alert(str(error)))
    page.api_open = False
    return page


def launch(page: gr.Blocks, port: int) -> str:
    """Serves the page on loopback, and returns.

    Args:
        page: The page.
        port: The port; 0 for a free one.

    Returns:
        Where it is.

    Raises:
        RunError: If the port is taken.
    """
    fonts = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]
    theme = gr.themes.Default(primary_hue="blue", font=fonts[0], font_mono=fonts[1]).set(
        **dict.fromkeys(_BUTTON, "#0b57a4"), button_primary_text_color="white"
    )
    _, address, _ = page.launch(
        server_name=_HOST, server_port=_free(port), prevent_thread_lock=True, quiet=True,
        share=False, max_file_size=_UPLOAD, i18n=I18N, theme=theme, css=CSS, footer_links=[],
        ssr_mode=False, enable_monitoring=False, mcp_server=False,
    )  # fmt: skip
    return address


def _free(port: int) -> int:
    """The port, if nobody has it."""
    reason = "there is no such port"
    if 0 <= port < 2**16:
        try:
            with socket.create_server((_HOST, port)) as taken:
                return taken.getsockname()[1]
        except OSError as error:
            reason = os.strerror(error.errno or 0)
    raise RunError(
        f"Cannot listen at {_HOST}:{port} (--port): {reason}; --port 0 takes a free one."
    )
