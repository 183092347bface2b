"""Updates the tables of RESULTS.md from results/; the text around them is edited by hand.

    python benchmarks/tables.py

A table is between the lines `<!-- table NAME -->` and `<!-- end -->`, and is generated from
`results/NAME.json`, written by `common.record`: a row of numbers per name.
"""

import json
import re
from pathlib import Path

HERE = Path(__file__).parent


def table(rows: dict[str, dict]) -> str:
    """A Markdown table, with the dates of its measurements."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row if name != "date"))
    dates = sorted({row["date"] for row in rows.values()})
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        lines.append(f"| {name} | " + " | ".join(shown(row.get(c)) for c in columns) + " |")
    return "\n".join([*lines, "", f"Measured on {' and '.join(dates)}."])


def shown(value: float | str | None) -> str:
    """Formats a number: integers with commas, others to four digits."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.4g}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else value


def written(text: str) -> str:
    """RESULTS.md with updated tables."""

    def made(match: re.Match[str]) -> str:
        path = HERE / "results" / f"{match[2]}.json"
        return f"{match[1]}\n{table(json.loads(path.read_text('utf-8')))}\n{match[3]}"

    return re.sub(r"(<!-- table (\S+) -->)\n.*?(<!-- end -->)", made, text, flags=re.DOTALL)


def main() -> None:
    path = HERE / "RESULTS.md"
    path.write_text(written(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
