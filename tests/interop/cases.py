"""What each agent is to show. A case has a session of its own; it raises `Failed`, or gives back a note for the table."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

from server import Failed, left_of, processes, until_gone

# Long enough to be broken off, in numbers that a quarter of a second lies between.
LONG = "count 60"


def is_type(*types):
    return lambda event: event["type"] in types


def prompt(agent, text):
    """What is said to an agent whose turns are all the same does not matter."""
    return text if agent.scripted else "go on"


def remains(agent):
    """A command that ends by itself only when all is over, and a name that it is found by."""
    return "run touch begun && sleep 7321", b"sleep\x007321"


def sleeping(server, name):
    return [pid for pid, command, _, cwd in processes() if name in command and cwd.startswith(str(server.folder))]


def begun_tool(agent, session):
    """Has a tool under way; the id of its message."""
    if not agent.scripted:
        since = session.mark()
        message = session.send("go on")
        session.wait(is_type("agent.tool_call"), "tool call", since=since)
        return message
    session.answers = "allow_once"
    text, name = remains(agent)
    message = session.send(text)
    end = time.monotonic() + 30
    while not sleeping(session.server, name):
        if time.monotonic() > end:
            raise Failed("the tool was not started")
        time.sleep(0.05)
    return message


def whole_turn(agent, session, text):
    since = session.mark()
    message = session.send(prompt(agent, text))
    end = session.turn(message)
    if end["stop_reason"] != "end_turn":
        raise Failed(f"the turn ended with {end['stop_reason']}")
    return session.said(since)


def knows(agent, session, word):
    """The agent still knows what it was told before."""
    session.answers = "allow_once"
    said = whole_turn(agent, session, "recall")
    if agent.scripted and word not in said:
        raise Failed(f"it has forgotten what was said: {said[:80]}")


def a_turn(agent, session):
    session.answers = "allow_once"
    said = whole_turn(agent, session, "hello from here")
    if agent.scripted and "you said: hello from here" not in said:
        raise Failed(f"it said {said[:80]!r}")
    if not said:
        raise Failed("it said nothing")


def streamed_text(agent, session):
    session.answers = "allow_once"
    message = session.send(prompt(agent, "count 8"))
    # Some of it is there while the model still speaks.
    session.wait(is_type("agent.message"), "text")
    if session.of("turn.ended"):
        raise Failed("the text came with the end of the turn")
    session.turn(message)
    pieces = [chunk for chunk in session.of("agent.message") if chunk.get("delta")]
    if len(pieces) < (4 if agent.scripted else 2):
        raise Failed(f"the text came in {len(pieces)} pieces")


def a_tool(agent, session):
    session.answers = "allow_once"
    said = whole_turn(agent, session, "run echo $((40 + 2)) is the answer")
    calls = {call["tool_call_id"] for call in session.of("agent.tool_call")}
    done = [update for update in session.of("agent.tool_call", "agent.tool_update") if update.get("status") == "completed"]
    if not calls or not any(update["tool_call_id"] in calls for update in done):
        raise Failed("no tool call that was completed")
    if agent.scripted and "42 is the answer" not in said:
        raise Failed(f"the tool's result did not come back: {said[:80]!r}")


def permission(agent, session, kind, name):
    message = session.send(prompt(agent, f"run touch {name} && echo done"))
    asked = session.wait(is_type("permission.requested"), "permission")["data"]
    if session.get()["client_state"] != "requires_action":
        raise Failed("the session does not say that it waits")
    status = session.answer(asked, kind)
    if status != 200:
        raise Failed(f"the answer was refused: {status}")
    # What else it asks in this turn is answered alike.
    session.answers = kind
    session.turn(message)
    return (session.server.work / name).exists()


def a_permission_allowed(agent, session):
    was_done = permission(agent, session, "allow_once", "allowed")
    if agent.scripted and not was_done:
        raise Failed("it was not done")


def a_permission_denied(agent, session):
    if permission(agent, session, "reject_once", "denied"):
        raise Failed("it was done all the same")


def interrupted(agent, session, message):
    run = session.get()["run"]
    since = session.mark()
    began = time.monotonic()
    session.interrupt()
    end = session.turn(message, 20)
    took = time.monotonic() - began
    session.wait(is_type("interrupt.completed"), "end of the interrupt", since=since)
    if end["stop_reason"] not in ("cancelled", "end_turn"):
        raise Failed(f"the turn ended with {end['stop_reason']}")
    if session.of("interrupt.failed", since=since):
        raise Failed("it took more than the protocol's own cancel")
    session.answers = "allow_once"
    whole_turn(agent, session, "hello again")
    if session.get()["run"] != run:
        raise Failed("it did not survive the interrupt")
    return f"{took * 1000:.0f} ms"


def an_interrupt_in_a_text(agent, session):
    message = session.send(prompt(agent, LONG))
    session.wait(is_type("agent.message"), "text")
    return interrupted(agent, session, message)


def an_interrupt_in_a_tool(agent, session):
    note = interrupted(agent, session, begun_tool(agent, session))
    if agent.scripted:
        _, name = remains(agent)
        end = time.monotonic() + 5
        while sleeping(session.server, name):
            if time.monotonic() > end:
                raise Failed("the tool runs on")
            time.sleep(0.1)
    return note


def is_failed(message):
    return lambda event: event["type"] == "message.failed" and event["data"]["message_id"] == message


def check_lost(session, message, since):
    failed = session.wait(is_failed(message), "word on the lost message", since=since)["data"]
    if not failed["uncertain"] or failed["reason"] != "transport_lost":
        raise Failed(f"the lost message is told as {failed}")
    ended = session.of("turn.ended", since=since)
    if [end["stop_reason"] for end in ended] != ["transport_lost"]:
        raise Failed(f"the lost turn is told as {ended}")


def check_context(agent, session, since):
    started = session.wait(is_type("transport.started"), "new run", 60, since)["data"]
    if started["context"] != agent.context:
        raise Failed(f"the context is {started['context']}")
    knows(agent, session, "mulberry")
    return "" if agent.context == "resumed" else f"its context is {agent.context}: it offers no way to resume"


def kill_of_the_agent(agent, session):
    session.answers = "allow_once"
    whole_turn(agent, session, "the word is mulberry")
    message = begun_tool(agent, session)
    since = session.mark()
    pid, run = session.get()["pid"], session.get()["run"]
    os.kill(pid, 9)
    check_lost(session, message, since)
    exited = session.wait(is_type("transport.exited"), "exit", since=since)["data"]
    if exited["signal"] != 9:
        raise Failed(f"the exit is told as {exited}")
    # The tool, in a session of its own or behind a shim, went with the agent.
    _, name = remains(agent)
    if agent.scripted and sleeping(session.server, name):
        raise Failed("the tool outlived the agent")
    note = check_context(agent, session, since)
    if session.get()["run"] != run + 1:
        raise Failed(f"it took {session.get()['run'] - run} runs to come back")
    return note


def kill_in_the_first_turn(agent, session):
    """Not every agent has written down by then what it could resume; each says what is so."""
    session.answers = "allow_once"
    message = session.send(prompt(agent, LONG))
    session.wait(is_type("agent.message"), "text")
    since = session.mark()
    os.kill(session.get()["pid"], 9)
    check_lost(session, message, since)
    started = session.wait(is_type("transport.started"), "new run", 60, since)["data"]
    if started["context"] == "resumed":
        knows(agent, session, LONG)
    else:
        whole_turn(agent, session, "hello again")
    return f"its context is {started['context']}"


def kill_of_the_server(agent, session):
    session.answers = "allow_once"
    whole_turn(agent, session, "the word is mulberry")
    message = begun_tool(agent, session)
    since = session.mark()
    server = session.server
    server.kill()
    until_gone(server, timeout=15)
    server.start()
    check_lost(session, message, since)
    ended = session.wait(lambda event: event["type"] == "session.state" and event["data"]["to"] == "ENDED", "end", since=since)
    if ended["data"]["reason"] != "server_restart":
        raise Failed(f"the session ended as {ended['data']['reason']}")
    # The next message brings it back.
    session.answers = "allow_once"
    whole_turn(agent, session, "hello again")
    return check_context(agent, session, since)


def two_devices(agent, session):
    message = session.send(prompt(agent, "run touch twice && echo done"))
    asked = session.wait(is_type("permission.requested"), "permission")["data"]
    with ThreadPoolExecutor(2) as devices:
        statuses = sorted(devices.map(lambda _: session.answer(asked, "allow_once"), range(2)))
    if statuses != [200, 409]:
        raise Failed(f"they were answered {statuses}")
    session.answers = "allow_once"
    session.turn(message)
    resolved = [one for one in session.of("permission.resolved") if one["permission_id"] == asked["permission_id"]]
    if len(resolved) != 1:
        raise Failed(f"it was resolved {len(resolved)} times")


def sent_while_busy(agent, session):
    session.answers = "allow_once"
    first = session.send(prompt(agent, "count 8"))
    session.wait(is_type("agent.message"), "text")
    second = session.send(prompt(agent, "hello from behind"))
    session.turn(second)
    told = [(data["message_id"], "turn_id" in data and "stop_reason" in data) for data in session.of("turn.started", "turn.ended")]
    if told != [(first, False), (first, True), (second, False), (second, True)]:
        raise Failed(f"the turns were {told}")
    if agent.scripted and "you said: hello from behind" not in session.said():
        raise Failed("it was not answered")


CASES = [
    ("a turn", a_turn),
    ("streamed text", streamed_text),
    ("a tool", a_tool),
    ("a permission allowed", a_permission_allowed),
    ("a permission denied", a_permission_denied),
    ("interrupted in a text", an_interrupt_in_a_text),
    ("interrupted in a tool", an_interrupt_in_a_tool),
    ("the agent killed in a turn, and resumed", kill_of_the_agent),
    ("the agent killed in its first turn", kill_in_the_first_turn),
    ("the server killed in a turn, and resumed", kill_of_the_server),
    ("two devices answer one permission", two_devices),
    ("a message sent while busy", sent_while_busy),
]
# Looked at behind each of the others.
NOTHING_LEFT = "no process left behind, after each"


def after(server, session):
    """Ends the session; what is left of it is a failure."""
    session.stop()
    until_gone(server, session)
    # What shed its mark: nothing but the server works in its folder when no session is live.
    if left := left_of(server):
        raise Failed(f"left behind: {'; '.join(command[:60] for _, command in left)}")
