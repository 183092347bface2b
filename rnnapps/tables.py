"""What the commands print: tables and coloured words for people, JSON for programs."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def show(found: dict[str, Any], as_json: bool, title: str) -> None:
    """Prints metrics, with a column for the model and one for each baseline.

    Args:
        found: Metrics by name; `baselines` holds such dictionaries by the baseline's name, and
            `mistakes` the most confident mistakes.
        as_json: Whether to print JSON.
        title: The table's title.
    """
    if as_json:
        print(json.dumps(found))
        return
    console = Console()
    measures = found.get("validation", {}) if "run_dir" in found else found
    baselines = found.get("baselines", {})
    table = Table("metric", "rnnapps", *baselines, title=title, title_justify="left")
    for name, value in measures.items():
        if isinstance(value, float):
            others = [baseline.get(name) for baseline in baselines.values()]
            table.add_row(name, *(_number(number) for number in (value, *others)))
    if table.rows:
        console.print(table)
    for mistake in found.get("mistakes", [])[:3]:
        text = " ".join(mistake["text"].split())
        console.print(
            f"took {mistake['label']} for {mistake['predicted']} ({mistake['probability']:.3f}): "
            f"{text[:160]}{'...' if len(text) > 160 else ''}",
            markup=False,
            highlight=False,
        )
    if "run_dir" in found:
        console.print(f"{found['run_dir']}: {found['seconds']:.0f} s of training", highlight=False)


def show_cost(cost: dict[str, Any]) -> None:
    """Prints what narrow weights cost.

    Args:
        cost: `weights`, their type; `validation`, pairs of metrics before and after by name, or
            `unknown`, why there are none.
    """
    if "unknown" in cost:
        print(f"What weights of {cost['weights']} cost is not known: {cost['unknown']}")
        return
    title = "validation part"
    table = Table("metric", "float32", cost["weights"], title=title, title_justify="left")
    for name, pair in cost["validation"].items():
        table.add_row(name, *map(_number, pair))
    Console().print(table)


def show_predictions(texts: Sequence[str], answers: Sequence[dict], as_json: bool) -> None:
    """Prints a line for each text: the answer, its probability, the text, with tabs between.

    Args:
        texts: The texts.
        answers: What the application answered; `tokens` holds each token's weight, which a terminal
            shows as a colour and a file as a number.
        as_json: Whether to print a JSON object a line.
    """
    console = Console(soft_wrap=True, highlight=False)
    for text, answer in zip(texts, answers, strict=True):
        if as_json:
            print(json.dumps({"text": text, **answer}, ensure_ascii=False))
            continue
        shown = _weighted(answer["tokens"]) if "tokens" in answer else Text(" ".join(text.split()))
        line = Text(f"{answer['label']}\t{answer['probability']:.4f}\t").append_text(shown)
        if console.is_terminal:
            console.print(line)
        elif "tokens" in answer:
            weights = " ".join(f"{token}({weight:.3f})" for token, weight in answer["tokens"])
            print(answer["label"], f"{answer['probability']:.4f}", weights, sep="\t")
        else:
            print(line.plain)  # with its tabs, which rich would turn into spaces


def _weighted(tokens: Sequence[tuple[str, float]]) -> Text:
    """Words on a ground that is the redder the more they weigh."""
    most = max((weight for _, weight in tokens), default=0.0) or 1.0
    shown = Text()
    for token, weight in tokens:
        shade = 255 - int(200 * weight / most)
        shown.append(token, f"black on rgb(255,{shade},{shade})").append(" ")
    return shown


def show_findings(findings: dict[str, str | list[str]], as_json: bool) -> None:
    """Prints what the doctor found.

    Args:
        findings: What is to be said of each subject.
        as_json: Whether to print JSON.
    """
    if as_json:
        print(json.dumps(findings))
        return
    table = Table.grid("", "", padding=(0, 2))
    for subject, finding in findings.items():
        for line in finding if isinstance(finding, list) else [finding]:
            table.add_row(Text(subject, "bold"), Text(line))
    Console().print(table)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
