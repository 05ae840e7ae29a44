"""A stand-in for the model APIs, on loopback: agents do whole turns with it, without a key and without a network.

The last thing that the user said is the script of the turn:

    count N             says N numbers, one every quarter of a second
    run COMMAND         calls the agent's shell, then says what came of it
    call TOOL {JSON}    calls this tool with this input, then says what came of it
    think TEXT          thinks the text, then says it
    fail STATUS         answers the request with this HTTP status
    recall              says what the user said before: whether the agent still knows it
    anything else       is said back

Spoken are Anthropic's messages, OpenAI's responses and OpenAI's chat completions, each as a stream.
"""

import json
import re
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAUSE = 0.25
SHELLS = ("Bash", "bash", "exec_command", "shell_command", "shell")


@dataclass
class Turn:
    """What the model does in answer to one request."""

    thought: str = ""
    words: list = field(default_factory=list)
    pause: float = 0
    tool: tuple | None = None
    status: int = 200


@dataclass
class Asked:
    """What a request comes down to, in whichever API."""

    text: str
    result: str | None
    tools: list
    # All that the user said, oldest first.
    said: list = field(default_factory=list)


def turn_of(asked):
    if asked.result is not None:
        return Turn(words=["the tool said: ", asked.result[:2000]])
    word, _, rest = asked.text.partition(" ")
    shell = next((name for name in SHELLS if name in asked.tools), None)
    if word == "count" and rest.split()[:1] and rest.split()[0].isdigit():
        return Turn(words=[f"{number} " for number in range(1, int(rest.split()[0]) + 1)], pause=PAUSE)
    if word == "run" and shell:
        return Turn(tool=(shell, shell_input(shell, rest)))
    if word == "call" and asked.tools:
        name, _, given = rest.partition(" ")
        return Turn(tool=(name, json.loads(given or "{}")))
    if word == "think":
        return Turn(thought=rest, words=[rest])
    if word == "recall":
        return Turn(words=["you said before: ", " | ".join(asked.said[:-1])])
    if word == "fail" and rest.isdigit():
        return Turn(status=int(rest))
    return Turn(words=["you said: ", asked.text])


def shell_input(shell, command):
    if shell == "exec_command":
        # Codex asks nobody for what its sandbox allows.
        return {"cmd": command, "sandbox_permissions": "require_escalated", "justification": "because it was asked for"}
    if shell == "shell_command":
        return {"command": command}
    return {"command": command, "description": "Run a command"}


def texts(content):
    """The texts of a content that is a text or a list of blocks; agents put notes of their own in tags beside them."""
    blocks = [{"text": content}] if isinstance(content, str) else content or []
    found = [text for block in blocks if isinstance(block, dict) for text in said(block.get("text", ""))]
    return [text for text in found if text and not text.lstrip().startswith("<")]


def plain(content):
    """The last of them, which is what was said."""
    return (texts(content) or [content if isinstance(content, str) else ""])[-1]


def said(text):
    """Goose puts a note behind what was said, and what was broken off and what came next into one text, a line each."""
    without = re.sub("<turn-context>.*?</turn-context>", "", text, flags=re.DOTALL)
    return [text] if without == text else without.split("\n")


class Anthropic:
    @staticmethod
    def asked(body):
        tools = [tool.get("name") for tool in body.get("tools") or []]
        users = [message for message in body.get("messages", []) if message.get("role") == "user"]
        blocks = users[-1]["content"] if users else ""
        blocks = [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks
        said = [text for message in users for text in texts(message["content"])]
        # What stands last counts: a prompt may come in one message with the result of a tool that was broken off.
        for block in reversed(blocks):
            if block.get("type") == "tool_result":
                return Asked("", plain(block.get("content")), tools)
            if plain([block]):
                return Asked(plain([block]), None, tools, said)
        return Asked("", None, tools)

    @staticmethod
    def whole(turn, body):
        return {**Anthropic.message(body), "stop_reason": "end_turn", "content": [{"type": "text", "text": "".join(turn.words)}]}

    @staticmethod
    def message(body):
        usage = {"input_tokens": 10, "output_tokens": 1, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
        head = {"id": f"msg_{uuid.uuid4().hex[:24]}", "type": "message", "role": "assistant", "model": body.get("model")}
        return {**head, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}

    @staticmethod
    def stream(turn, body, say):
        def event(kind, **fields):
            say({"type": kind, **fields}, kind)

        def block(index, begin, deltas, pause=0):
            event("content_block_start", index=index, content_block=begin)
            for delta in deltas:
                event("content_block_delta", index=index, delta=delta)
                time.sleep(pause)
            event("content_block_stop", index=index)

        event("message_start", message=Anthropic.message(body))
        index = 0
        if turn.thought:
            deltas = [{"type": "thinking_delta", "thinking": turn.thought}, {"type": "signature_delta", "signature": "c2lnbmVk"}]
            block(index, {"type": "thinking", "thinking": "", "signature": ""}, deltas)
            index += 1
        if turn.words:
            deltas = [{"type": "text_delta", "text": word} for word in turn.words]
            block(index, {"type": "text", "text": ""}, deltas, turn.pause)
        if turn.tool:
            name, given = turn.tool
            begin = {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex[:24]}", "name": name, "input": {}}
            block(index, begin, [{"type": "input_json_delta", "partial_json": json.dumps(given)}])
        reason = "tool_use" if turn.tool else "end_turn"
        event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage={"output_tokens": 5})
        event("message_stop")


class Responses:
    @staticmethod
    def asked(body):
        tools = [tool.get("name") or tool.get("type") for tool in body.get("tools") or []]
        items = body.get("input") or []
        if isinstance(items, str):
            return Asked(items, None, tools)
        said = [text for item in items if item.get("role") == "user" for text in texts(item.get("content"))]
        for item in reversed(items):
            if item.get("type", "").endswith("_output"):
                return Asked("", plain(item.get("output")), tools)
            text = plain(item.get("content")) if item.get("role") == "user" else ""
            if text:
                return Asked(text, None, tools, said)
        return Asked("", None, tools)

    @staticmethod
    def stream(turn, body, say):
        response = {"id": f"resp_{uuid.uuid4().hex[:24]}", "object": "response", "model": body.get("model")}

        def event(kind, **fields):
            say({"type": kind, **fields}, kind)

        event("response.created", response={**response, "status": "in_progress"})
        if turn.tool:
            name, given = turn.tool
            call = f"call_{uuid.uuid4().hex[:16]}"
            item = {"type": "function_call", "id": f"fc_{call}", "call_id": call, "name": name, "arguments": json.dumps(given)}
        else:
            item = {"type": "message", "id": f"msg_{uuid.uuid4().hex[:16]}", "role": "assistant", "content": []}
            event("response.output_item.added", output_index=0, item=item)
            for word in turn.words:
                event("response.output_text.delta", item_id=item["id"], output_index=0, content_index=0, delta=word)
                time.sleep(turn.pause)
            item = {**item, "content": [{"type": "output_text", "text": "".join(turn.words)}]}
        event("response.output_item.done", output_index=0, item=item)
        details = {"input_tokens_details": None, "output_tokens_details": None}
        usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, **details}
        event("response.completed", response={**response, "status": "completed", "output": [item], "usage": usage})


class Chat:
    @staticmethod
    def asked(body):
        tools = [tool.get("function", {}).get("name") for tool in body.get("tools") or []]
        messages = body.get("messages") or [{}]
        if messages[-1].get("role") == "tool":
            return Asked("", plain(messages[-1].get("content")), tools)
        users = [message for message in messages if message.get("role") == "user"]
        said = [text for message in users for text in texts(message.get("content"))]
        return Asked(plain(users[-1].get("content")) if users else "", None, tools, said)

    @staticmethod
    def stream(turn, body, say):
        head = {"id": f"chat_{uuid.uuid4().hex[:16]}", "object": "chat.completion.chunk", "model": body.get("model")}
        head["created"] = int(time.time())

        def chunk(delta, reason=None, **more):
            say({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more})

        for word in turn.words:
            chunk({"role": "assistant", "content": word})
            time.sleep(turn.pause)
        if turn.tool:
            name, given = turn.tool
            function = {"name": name, "arguments": json.dumps(given)}
            call = {"index": 0, "id": f"call_{uuid.uuid4().hex[:16]}", "type": "function", "function": function}
            chunk({"role": "assistant", "tool_calls": [call]})
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        chunk({}, "tool_calls" if turn.tool else "stop", usage=usage)
        say("[DONE]")


APIS = (("/messages", Anthropic), ("/responses", Responses), ("/chat/completions", Chat))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer({})

    def do_GET(self):
        self.answer({"object": "list", "data": [], "models": []})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.partition("?")[0]
        try:
            body = json.loads(body or b"{}")
            api = next((api for end, api in APIS if path.endswith(end)), None)
            if api is None:
                return self.answer({"input_tokens": 10} if path.endswith("count_tokens") else {})
            turn = turn_of(api.asked(body))
            if turn.status != 200:
                error = {"type": "invalid_request_error", "message": "the request was to fail"}
                return self.answer({"type": "error", "error": error}, turn.status)
            if not body.get("stream") and api is Anthropic:
                return self.answer(Anthropic.whole(turn, body))
            self.begin_stream()
            api.stream(turn, body, self.say)
            self.chunk(b"")
        except (BrokenPipeError, ConnectionResetError):
            # The agent was interrupted, or killed.
            self.close_connection = True

    def answer(self, body, status=200):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def say(self, data, name=None):
        data = data if isinstance(data, str) else json.dumps(data)
        head = f"event: {name}\n" if name else ""
        self.chunk(f"{head}data: {data}\n\n".encode())

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Agents that are killed break their connections; that is what is tried here."""


def start(port=0):
    """Serves until the process ends, on a port of the system's choice if none is given; the port."""
    server = Server(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


if __name__ == "__main__":
    print(start(int(sys.argv[1]) if len(sys.argv) > 1 else 0), flush=True)
    threading.Event().wait()
