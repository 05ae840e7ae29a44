"""The two servers that are compared, each behind the same few calls: an agent's session, what a reader gets of it, a stop.

Both start the same agent by the same command, agent.py. What is done with them, and what is expected, is in compare.py.
"""

import http.client
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid

# What a call may take before it counts as not answered.
PATIENCE = 30
MARK = "PEERS_MARK"
AGENT = [sys.executable, "-B", str(pathlib.Path(__file__).parent.resolve() / "agent.py")]


class Http:
    """Calls of one server, each on a connection of its own."""

    def __init__(self, port, headers):
        self.port, self.headers = port, headers

    def open(self, method, path, body=None, headers=None, timeout=PATIENCE):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json", **self.headers, **(headers or {})})
        return connection, connection.getresponse()

    def call(self, method, path, body=None, timeout=PATIENCE):
        connection, response = self.open(method, path, body, timeout=timeout)
        text = response.read()
        connection.close()
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {response.status} {text[:300]!r}")
        return json.loads(text) if text else None


class Reader:
    """A stream that is read without a pause, from the call to `close` on. Its frames come as (id, event, data)."""

    def __init__(self, http, path, last_event_id=None):
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        self.frames, self.changed, self.ended = [], threading.Condition(), False
        self.connection, self.response = http.open("GET", path, headers=headers, timeout=None)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        frame = {}
        try:
            for line in self.response:
                name, _, value = line.decode().rstrip("\r\n").partition(":")
                if name:
                    frame[name] = value.removeprefix(" ")
                elif "data" in frame:
                    with self.changed:
                        self.frames.append((frame.get("id"), frame.get("event", "message"), json.loads(frame["data"])))
                        self.changed.notify_all()
                    frame = {}
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass  # It was closed.
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def until(self, fits, patience=PATIENCE):
        """The first frame that fits, with the seconds it was waited for; None where there is none in time."""
        began, seen = time.monotonic(), 0
        with self.changed:
            while True:
                for frame in self.frames[seen:]:
                    if fits(frame):
                        return frame, time.monotonic() - began
                seen = len(self.frames)
                left = began + patience - time.monotonic()
                if left <= 0 or self.ended:
                    return None, time.monotonic() - began
                self.changed.wait(left)

    def close(self):
        self.connection.sock and self.connection.sock.shutdown(2)


class Server:
    """A process in a folder of its own, and the agents that it started, known by a variable that they inherit."""

    def __init__(self, folder):
        self.folder, self.mark = pathlib.Path(folder), uuid.uuid4().hex
        self.process = None

    def spawn(self, command, env=None):
        log = open(self.folder / "log", "wb")
        env = {**os.environ, "HOME": str(self.folder), MARK: self.mark, **(env or {})}
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)

    def await_log(self, pattern):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = re.search(pattern, (self.folder / "log").read_text(errors="replace"))
            if found:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"{self.name} does not start:\n{(self.folder / 'log').read_text(errors='replace')[-2000:]}")

    def agents(self):
        """The processes that this server's agents are, and what they started."""
        mark, pids = f"{MARK}={self.mark}\0".encode(), []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                environ, command = (folder / "environ").read_bytes(), (folder / "cmdline").read_bytes()
            except OSError:
                continue
            is_server = int(folder.name) == self.process.pid or b"\0guard" in command or b"\0serve\0" in command
            if mark in environ + b"\0" and not is_server and command:
                pids.append(int(folder.name))
        return pids

    def gone(self, pids, patience):
        """Waits until none of these runs; False where one still does after `patience`."""
        deadline = time.monotonic() + patience
        while any(map(is_running, pids)):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid in self.agents() if self.process else []:
            os.kill(pid, signal.SIGKILL)


def is_running(pid):
    """A process that has ended and waits to be looked at runs no more."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except OSError:
        return False


class Seawall(Server):
    name = "seawall"

    def __init__(self, folder, seawall):
        super().__init__(folder)
        (self.folder / "seawall.toml").write_text(f"""
[server]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[store]
path = "{folder}/data/seawall.db"
[agents.mock]
protocol = "acp"
command = "{AGENT[0]}"
args = {json.dumps(AGENT[1:])}
cwd = "{folder}"
env = {{ {MARK} = "{self.mark}" }}
""")
        self.spawn([seawall, "serve", "--config", str(self.folder / "seawall.toml")], {"RUST_LOG": "info"})
        port = self.await_log(r"serves on http://127\.0\.0\.1:(\d+)").group(1)
        token = (self.folder / "data/token").read_text().strip()
        self.http = Http(int(port), {"Authorization": f"Bearer {token}"})

    def session(self):
        id = self.http.call("POST", "/v1/sessions", {"agent": "mock"})["id"]
        reader = self.reader(id)
        assert reader.until(lambda frame: frame[2].get("type") == "transport.started")[0], "the agent does not start"
        reader.close()
        return id

    def reader(self, id, last_event_id=None):
        start = "" if last_event_id else f"&after={id}:0"
        return Reader(self.http, f"/v1/stream?sessions={id}{start}", last_event_id)

    def prompt(self, id, text):
        self.http.call("POST", f"/v1/sessions/{id}/messages", {"message_id": uuid.uuid4().hex, "text": text})

    @staticmethod
    def said(frame):
        """The text that the agent says in a frame; None where it says none."""
        return frame[2]["data"].get("delta") if frame[2].get("type") == "agent.message" else None

    @staticmethod
    def ends_turn(frame):
        return frame[2].get("type") == "turn.ended"

    @staticmethod
    def tells_exit(frame):
        return frame[2].get("type") == "transport.exited"

    @staticmethod
    def outcome(frame):
        return f"`{frame[2]['data']['stop_reason']}`"

    def missed(self, reader):
        """What a reader was told that it missed, from where that is kept. Else nothing."""
        gap, _ = reader.until(lambda frame: frame[1] in ("gap", "snapshot"))
        if gap[1] == "snapshot":
            return []
        frames, after, resume_at = [], gap[2]["after"], gap[2]["resume_at"]
        while after < resume_at:
            page = self.http.call("GET", f"/v1/sessions/{gap[2]['session_id']}/events?after={after}&limit=1000")
            events = [event for event in page["events"] if event["seq"] <= resume_at]
            frames += [(None, "message", event) for event in events]
            after = page["events"][-1]["seq"]
        return frames

    def stop(self, id, patience):
        self.http.call("POST", f"/v1/sessions/{id}/stop", {}, timeout=patience)


class SandboxAgent(Server):
    name = "sandbox-agent"

    def __init__(self, folder, program):
        super().__init__(folder)
        # Its agent `mock` is whatever program stands at this place.
        agent = self.folder / ".local/share/sandbox-agent/bin/agent_processes/mock-acp"
        agent.parent.mkdir(parents=True)
        agent.write_text(f"#!/bin/sh\nexec {shlex.join(AGENT)}\n")
        agent.chmod(0o755)
        port = _free_port()
        self.spawn([program, "server", "--no-token", "--no-telemetry", "--port", str(port)])
        self.http, self.sessions, self.calls = Http(port, {}), {}, 0
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.http.call("GET", "/v1/health")
                break
            except (OSError, RuntimeError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def rpc(self, id, method, params, query="", timeout=PATIENCE):
        self.calls += 1
        envelope = {"jsonrpc": "2.0", "id": self.calls, "method": method, "params": params}
        return self.http.call("POST", f"/v1/acp/{id}{query}", envelope, timeout)

    def session(self):
        id = uuid.uuid4().hex
        self.rpc(id, "initialize", {"protocolVersion": 1, "clientCapabilities": {}}, "?agent=mock")
        answer = self.rpc(id, "session/new", {"cwd": str(self.folder), "mcpServers": []})
        self.sessions[id] = answer["result"]["sessionId"]
        return id

    def reader(self, id, last_event_id=None):
        return Reader(self.http, f"/v1/acp/{id}", last_event_id)

    def prompt(self, id, text):
        """Its call waits for the turn's end, so that it is made on the side; the answer comes on the stream too."""
        params = {"sessionId": self.sessions[id], "prompt": [{"type": "text", "text": text}]}
        self.answer = []

        def ask(answer=self.answer):
            began = time.monotonic()
            try:
                answer.append((time.monotonic() - began, self.rpc(id, "session/prompt", params)))
            except (OSError, RuntimeError) as error:
                answer.append((time.monotonic() - began, error))

        threading.Thread(target=ask, daemon=True).start()

    @staticmethod
    def said(frame):
        update = frame[2].get("params", {}).get("update", {})
        return update["content"].get("text") if update.get("sessionUpdate") == "agent_message_chunk" else None

    @staticmethod
    def ends_turn(frame):
        return "stopReason" in (frame[2].get("result") or {}) or "error" in frame[2]

    @staticmethod
    def tells_exit(frame):
        return frame[2].get("method") == "_adapter/agent_exited"

    @staticmethod
    def outcome(frame):
        return f"`{json.dumps(frame[2].get('result') or frame[2].get('error'))[:80]}`"

    def missed(self, reader):
        return []

    def stop(self, id, patience):
        self.http.call("DELETE", f"/v1/acp/{id}", timeout=patience)


def _free_port():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    pathlib.Path(folder).mkdir(parents=True)
    return folder
