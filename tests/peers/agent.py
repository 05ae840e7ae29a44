"""An ACP agent for comparisons: what a prompt says, it does, and nothing else. Standard input and output, one thread.

    burst N B   N chunks of an answer, each its number and B bytes more, in one write
    crash       half an answer, and it exits with 1, without a response
    hang        a turn that only a cancel ends
    stubborn    the same, but neither a cancel nor the end of its input nor SIGINT ends it
    fork        two processes that stay behind, one of them in a session of its own
    ...         anything else is an answer of one chunk
"""

import json
import os
import select
import signal
import subprocess
import sys

session, turn, is_stubborn = "mock-1", None, False


def write(*messages):
    lines = "".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in messages)
    sys.stdout.write(lines)
    sys.stdout.flush()


def chunk(text):
    update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
    return {"method": "session/update", "params": {"sessionId": session, "update": update}}


def prompt(id, text):
    global turn, is_stubborn
    word, *numbers = text.split()
    if word == "crash":
        write(chunk("I am just about to cra"))
        os._exit(1)
    if word in ("hang", "stubborn"):
        turn, is_stubborn = id, word == "stubborn"
        if is_stubborn:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        return write(chunk("I shall say no more. "))
    if word == "fork":
        for own_session in (False, True):
            subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, start_new_session=own_session)
    if word == "burst":
        count, size = map(int, numbers)
        said = [chunk(f"{number} {'.' * size}") for number in range(1, count + 1)]
    else:
        said = [chunk("done ")]
    write(*said, {"id": id, "result": {"stopReason": "end_turn"}})


def hear(message):
    global turn
    id, method = message.get("id"), message.get("method")
    if method == "initialize":
        capabilities = {"loadSession": False, "sessionCapabilities": {"resume": {}}}
        write({"id": id, "result": {"protocolVersion": 1, "agentCapabilities": capabilities, "authMethods": []}})
    elif method in ("session/new", "session/resume"):
        write({"id": id, "result": {"sessionId": session}})
    elif method == "session/prompt":
        prompt(id, "".join(block.get("text", "") for block in message["params"]["prompt"]))
    elif method == "session/cancel" and turn is not None and not is_stubborn:
        write({"id": turn, "result": {"stopReason": "cancelled"}})
        turn = None
    elif method and id is not None:
        write({"id": id, "error": {"code": -32601, "message": f"no method {method}"}})


for line in sys.stdin:
    hear(json.loads(line))
while is_stubborn:
    select.select([], [], [], 1)
