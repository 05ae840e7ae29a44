"""Seawall beside its nearest peer, in front of the same agent: what a reader gets of a burst and after a cut, what comes of
an agent that dies in a turn, and of a stop. Prints both side by side and writes docs/peers.md.

    compare.py SEAWALL SANDBOX_AGENT FOLDER

Fails where Seawall does not keep what it promises. What the peer does is written down as it was.
"""

import datetime
import pathlib
import sys
import time

from servers import PATIENCE, SandboxAgent, Seawall, fresh, is_running

DOCS = pathlib.Path(__file__).resolve().parent.parent.parent / "docs/peers.md"
VERSION = "0.4.2"
ROUNDS = 3
COUNT, SIZE = 5000, 1000
CURSOR = 10
# Seawall's close_grace, and something for a busy machine.
LADDER = 10 + 2

PAGE = f"""# Beside the nearest peer

`@sandbox-agent/cli` {VERSION} is a server for coding agents too: it starts an agent that speaks ACP, takes messages over
HTTP and streams what the agent says as server-sent events. It runs inside a sandbox and holds the newest events in memory; to
keep a session is its clients' part. Seawall keeps it for them. Both ran on one machine in one run, in front of the same agent ([`agent.py`](../tests/peers/agent.py),
started as `python3 agent.py`), each with its defaults, followed by the same reader. `scripts/peers` measures it again and writes this page.

DATE

TABLE
- **Burst**: the agent writes {COUNT:,} chunks of {SIZE:,} bytes at once (`burst {COUNT} {SIZE}`); one reader reads without a pause. {ROUNDS} rounds.
- **After a cut**: a reader comes back with the id of the {CURSOR}th of these chunks as its `Last-Event-ID`. Seawall's tells it by a `gap` frame what it
  missed and where that is; the reader fetches it there.
- **Death**: the agent exits in the midst of its turn (`crash`). What ends the turn is `turn.ended` here and the answer to
  `session/prompt` there, as a call or on the stream. Waited for: {PATIENCE} s; the peer gives a call up after two minutes.
- **Stop**: `POST /v1/sessions/ID/stop` here, `DELETE /v1/acp/ID` there, until the agent's process is gone. Stubborn is an agent that is
  in a turn and hears neither a cancel nor the end of its input nor SIGINT. Waited for: {PATIENCE} s.
- **Left behind**: an agent that started two processes (`fork`), one of them in a session of its own, is stopped. Counted are all
  three, when the agent is gone or was waited for.
"""


def numbers(server, frames):
    said = (server.said(frame) for frame in frames if frame[1] == "message")
    return [int(text.split()[0]) for text in said if text]


def burst(server):
    """What was lost in each round, and whether the rest came once and in order; the last round's session and its frames."""
    lost, is_ordered = [], True
    for _ in range(ROUNDS):
        session = server.session()
        reader = server.reader(session)
        server.prompt(session, f"burst {COUNT} {SIZE}")
        reader.until(server.ends_turn)
        frames = list(reader.frames)
        reader.close()
        got = numbers(server, frames)
        is_ordered &= got == sorted(set(got))
        lost.append(COUNT - len(set(got)))
    return lost, is_ordered, session, frames


def resume(server, session, frames):
    """The next chunk that a reader gets that comes back, how many it never gets, and whether it was told."""
    said = [frame for frame in frames if frame[1] == "message" and server.said(frame)]
    place = next(frame[0] for frame in said if numbers(server, [frame]) == [CURSOR])
    reader = server.reader(session, place)
    missed = server.missed(reader)
    if not missed:
        reader.until(server.ends_turn)
    got = numbers(server, missed + list(reader.frames))
    reader.close()
    return (got or [None])[0], COUNT - CURSOR - len(set(got)), bool(missed)


def crash(server):
    """Seconds until a reader hears that the agent is gone, and until its turn has an end, with what that is; None where
    there is none."""
    session = server.session()
    reader = server.reader(session)
    server.prompt(session, "crash")
    exited, heard = reader.until(server.tells_exit)
    end, waited = reader.until(server.ends_turn)
    reader.close()
    return heard if exited else None, (heard + waited, server.outcome(end)) if end else None


def stop(server, text):
    """Seconds until the agent is gone, None where it is not; and how many processes it leaves."""
    session = server.session()
    reader = server.reader(session)
    server.prompt(session, text)
    spoke, _ = reader.until(lambda frame: frame[1] == "message" and server.said(frame))
    assert spoke, f"{server.name}: the agent says nothing"
    if text != "stubborn":
        assert reader.until(server.ends_turn)[0], f"{server.name}: the turn does not end"
    pids = server.agents()
    agent = [pid for pid in pids if is_agent(pid)]
    assert len(agent) == 1, f"{server.name}: there is not one agent"
    began = time.monotonic()
    try:
        server.stop(session, PATIENCE)
    except OSError:
        pass  # It has not answered; whether it stopped is looked at below.
    is_gone = server.gone(agent, max(0, began + PATIENCE - time.monotonic()))
    waited = time.monotonic() - began
    reader.close()
    # What is taken down with it is, within a moment.
    server.gone(pids, 2 if is_gone else 0)
    return (waited if is_gone else None), sum(map(is_running, pids))


def is_agent(pid):
    return b"agent.py" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()


def measure(make):
    """Each measurement has a server of its own, so that none meets what another left."""

    def on_one(what):
        server = make()
        try:
            return what(server)
        finally:
            server.close()

    def stream(server):
        lost, is_ordered, session, frames = burst(server)
        return lost, is_ordered, resume(server, session, frames)

    lost, is_ordered, resumed = on_one(stream)
    return {
        "lost": lost,
        "is_ordered": is_ordered,
        "resume": resumed,
        "crash": on_one(crash),
        "idle": on_one(lambda server: stop(server, "hello"))[0],
        "stubborn": on_one(lambda server: stop(server, "stubborn"))[0],
        "left": on_one(lambda server: stop(server, "fork"))[1],
    }


def seconds(time):
    return f"not in {PATIENCE} s" if time is None else f"{time:.1f} s"


def span(lost):
    return f"{min(lost):,}" if min(lost) == max(lost) else f"{min(lost):,} to {max(lost):,}"


def after_cut(next_chunk, never, is_told):
    how = ", by way of a `gap`" if is_told else ""
    return f"chunk {next_chunk:,} is the next{how}; {never:,} never come"


def end_of_turn(end):
    return f"{seconds(end[0])}: {end[1]}" if end else f"not in {PATIENCE} s"


def row(what, tell, results):
    return f"| {what} | " + " | ".join(tell(result) for result in results) + " |"


def table(results):
    return "\n".join([
        f"| | Seawall | sandbox-agent {VERSION} |",
        "|---|---|---|",
        row(f"Burst of {COUNT:,}: lost", lambda r: span(r["lost"]), results),
        row(f"After a cut at {CURSOR}", lambda r: after_cut(*r["resume"]), results),
        row("Death in a turn: a reader hears of it", lambda r: seconds(r["crash"][0]), results),
        row("Death in a turn: the turn has an end", lambda r: end_of_turn(r["crash"][1]), results),
        row("Stop of an idle agent", lambda r: seconds(r["idle"]), results),
        row("Stop of a stubborn one", lambda r: seconds(r["stubborn"]), results),
        row("Left behind", lambda r: f"{r['left']} processes", results),
    ]) + "\n"


def faults(ours):
    """What Seawall promises and did not keep."""
    checks = [
        (ours["is_ordered"], "events of a burst came twice or out of order"),
        (max(ours["lost"]) == 0, f"events of a burst were lost: {ours['lost']}"),
        (ours["resume"][:2] == (CURSOR + 1, 0), f"a reader did not come back exactly: {ours['resume']}"),
        (None not in ours["crash"], "an agent's death in its turn was not told"),
        (ours["idle"] is not None and ours["idle"] < LADDER, f"the stop of an idle agent took {seconds(ours['idle'])}"),
        (ours["stubborn"] is not None and ours["stubborn"] < LADDER, f"the stop of a stubborn agent took {seconds(ours['stubborn'])}"),
        (ours["left"] == 0, f"{ours['left']} processes were left behind"),
    ]
    return [fault for is_kept, fault in checks if not is_kept]


def main(seawall, sandbox_agent, folder):
    results = [
        measure(lambda: Seawall(fresh(f"{folder}/seawall"), seawall)),
        measure(lambda: SandboxAgent(fresh(f"{folder}/sandbox-agent"), sandbox_agent)),
    ]
    text = table(results)
    print(text)
    found = faults(results[0])
    for fault in found:
        print(f"scripts/peers: {fault}", file=sys.stderr)
    if not found:
        date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
        DOCS.write_text(PAGE.replace("DATE", f"Measured on {date}.").replace("TABLE", text))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
