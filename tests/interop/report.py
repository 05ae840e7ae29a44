"""The results of all runs, and the table of them in docs/agents.md.

    report.py write    writes the table anew
    report.py check    says whether the page's table is that of the results
"""

import json
import sys
from pathlib import Path

from agents import AGENTS
from cases import CASES, NOTHING_LEFT

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
PAGE = HERE.parents[1] / "docs/agents.md"
BEGIN, END = "<!-- results of scripts/interop -->\n", "<!-- end of the results -->\n"


def read():
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def keep(agent, cells):
    """One agent's cells take the place of those of its last run."""
    results = read() | {agent.name: {"version": agent.version, "cells": cells}}
    order = [agent.name for agent in AGENTS]
    results = {name: results[name] for name in order if name in results}
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def table(results):
    titles = {agent.name: agent.title for agent in AGENTS}
    head = ["", *(f"{titles[name]} {result['version']}" for name, result in results.items())]
    lines = [row(head), row(["---"] * len(head))]
    for name in [name for name, _ in CASES] + [NOTHING_LEFT]:
        lines.append(row([name, *(result["cells"].get(name, "not tried") for result in results.values())]))
    return "\n".join(lines) + "\n"


def row(cells):
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def page_with(table):
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        sys.exit(f"{PAGE} has no place for the results")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


if __name__ == "__main__":
    page = page_with(table(read()))
    if sys.argv[1:] == ["write"]:
        PAGE.write_text(page)
    elif page != PAGE.read_text():
        sys.exit("docs/agents.md is not made from tests/interop/results.json: python3 tests/interop/report.py write")
