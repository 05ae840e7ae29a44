"""Runs the cases with real agents and a real server, and keeps what came of it. `scripts/interop` calls it."""

import shutil
import sys
import tempfile
import time
from pathlib import Path

import models
import report
from agents import AGENTS, ROOT
from cases import CASES, NOTHING_LEFT, after
from server import Failed, Seawall


def tell(*words):
    print(*words, flush=True)


def one_case(server, agent, case):
    """What goes into the table, and what was left behind."""
    session = server.create(agent.name)
    try:
        session.until_ready()
        note = case(agent, session)
        cell = f"ok ({note})" if note else "ok"
    except Failed as failed:
        cell = f"failed: {failed}"
    left = ""
    try:
        if server.process.poll() is not None:
            server.start()
        after(server, session)
    except Failed as failed:
        left = str(failed)
    session.close()
    return cell, left


def run(agent, port, binary, chosen):
    folder = Path(tempfile.mkdtemp(prefix="seawall-interop-"))
    home = folder / "home"
    home.mkdir()
    agent.prepare(home, port)
    server = Seawall(binary, folder, agent.profile(port), {})
    cells, left_behind, failed = {}, [], False
    try:
        server.start()
        for name, case in CASES:
            if chosen and chosen not in name:
                continue
            began = time.monotonic()
            cells[name], left = one_case(server, agent, case)
            tell(f"  {name}: {cells[name]}  [{time.monotonic() - began:.1f} s]", f"({left})" if left else "")
            if left:
                left_behind.append(f"{name}: {left}")
        server.stop()
        cells[NOTHING_LEFT] = f"failed: {'; '.join(left_behind)}" if left_behind else "ok"
        failed = any(cell.startswith("failed") for cell in cells.values())
    finally:
        if server.process and server.process.poll() is None:
            server.kill()
        if failed:
            tell(f"  what the server logged: {folder}/log")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return cells, failed


def main():
    arguments = sys.argv[1:]
    chosen = None
    if "--case" in arguments:
        place = arguments.index("--case")
        chosen = arguments[place + 1]
        del arguments[place : place + 2]
    names = [agent.name for agent in AGENTS]
    if arguments == ["--list"]:
        for agent in AGENTS:
            tell(f"{agent.name:18} {agent.package} {agent.version}, protocol {agent.protocol}")
        return
    unknown = [name for name in arguments if name not in names]
    if unknown:
        sys.exit(f"scripts/interop: no agent {', '.join(unknown)}; there are {', '.join(names)}")
    port = models.start()
    any_failed = False
    for agent in [agent for agent in AGENTS if not arguments or agent.name in arguments]:
        tell(f"{agent.title} {agent.version}")
        agent.install()
        cells, failed = run(agent, port, ROOT / "target/debug/seawall", chosen)
        any_failed |= failed
        if not chosen:
            report.keep(agent, cells)
    sys.exit(1 if any_failed else 0)


if __name__ == "__main__":
    main()
