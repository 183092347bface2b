"""Writes the tables of RESULTS.md that have a file in results/; the prose around them is by hand.

    python benchmarks/tables.py

A table stands between the lines `<!-- table NAME -->` and `<!-- end -->`, and is made of
`results/NAME.json`, which `common.record` keeps: a row of numbers for each name.
"""

import json
import re
from pathlib import Path

HERE = Path(__file__).parent


def table(rows: dict[str, dict]) -> str:
    """A table in Markdown, and when its rows were measured."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row if name != "date"))
    dates = sorted({row["date"] for row in rows.values()})
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        lines.append(f"| {name} | " + " | ".join(shown(row.get(c)) for c in columns) + " |")
    return "\n".join([*lines, "", f"Measured on {' and '.join(dates)}."])


def shown(value: float | str | None) -> str:
    """A number as it stands in a table: whole ones with commas, others to four digits."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.4g}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else value


def written(text: str) -> str:
    """RESULTS.md with its tables as the results are now."""

    def made(match: re.Match[str]) -> str:
        path = HERE / "results" / f"{match[2]}.json"
        return f"{match[1]}\n{table(json.loads(path.read_text('utf-8')))}\n{match[3]}"

    return re.sub(r"(<!-- table (\S+) -->)\n.*?(<!-- end -->)", made, text, flags=re.DOTALL)


def main() -> None:
    path = HERE / "RESULTS.md"
    path.write_text(written(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
