"""A real `seawall serve` in a folder of its own, and its sessions as a client sees them."""

import http.client
import json
import os
import queue
import signal
import subprocess
import threading
import time
import urllib.parse
from pathlib import Path

MARKER = b"SEAWALL_CHILD="


class Failed(Exception):
    """What was to be shown is not so; the words go into the table."""


class Seawall:
    def __init__(self, binary, folder, profile, env):
        self.binary, self.folder = binary, Path(folder)
        self.work = self.folder / "work"
        self.work.mkdir()
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        # Nothing of the account that runs this is seen by the agents.
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **env}
        (self.folder / "seawall.toml").write_text(
            f"""
[server]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[store]
path = "{self.folder}/data/seawall.db"
[streams]
max_replay_gap = 100000
[agents."*"]
cwd = "{self.work}"
{profile}
"""
        )
        self.process = None

    def start(self):
        command = [self.binary, "serve", "--config", str(self.folder / "seawall.toml")]
        self.process = subprocess.Popen(command, env=self.env, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        addresses = queue.Queue()
        threading.Thread(target=self._read_log, args=(self.process.stderr, addresses), daemon=True).start()
        try:
            self.address = addresses.get(timeout=30)
        except queue.Empty:
            raise Failed("the server did not start") from None
        self.token = (self.folder / "data/token").read_text().strip()

    def _read_log(self, lines, addresses):
        with open(self.folder / "log", "ab") as log:
            for line in lines:
                log.write(line)
                log.flush()
                _, found, rest = line.decode(errors="replace").partition(" serves on ")
                if found:
                    addresses.put(urllib.parse.urlsplit(rest.split(",")[0]).netloc)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.kill()
                raise Failed("the server did not stop in time") from None

    def request(self, method, path, body=None, timeout=30):
        """An open answer; who calls closes the connection."""
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        headers = {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body)
        connection.request(method, "/v1" + path, body, headers)
        return connection, connection.getresponse()

    def call(self, method, path, body=None):
        connection, answer = self.request(method, path, body)
        try:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        finally:
            connection.close()

    def create(self, agent, **more):
        status, session = self.call("POST", "/sessions", {"agent": agent, **more})
        if status != 201:
            raise Failed(f"no session: {status} {session}")
        return Session(self, session["id"])


class Session:
    """A session and one stream of it, which reconnects by itself and keeps every event."""

    def __init__(self, server, id):
        self.server, self.id = server, id
        self.events = []
        self.changed = threading.Condition()
        # The kind of option that permissions are answered with at once; None: they wait.
        self.answers = None
        self.closed = False
        self.sent = 0
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self):
        while not self.closed:
            try:
                after = self.events[-1]["seq"] if self.events else 0
                path = f"/sessions/{self.id}/stream?after={self.id}:{after}"
                connection, answer = self.server.request("GET", path)
                self._read(answer)
                connection.close()
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.1)

    def _read(self, answer):
        is_event, data = True, None
        while line := answer.readline():
            name, _, value = line.decode().rstrip("\n").partition(":")
            value = value.strip()
            if name == "event":
                is_event = False
            elif name == "data" and is_event:
                data = json.loads(value)
            elif not name:
                if data:
                    self._take(data)
                is_event, data = True, None

    def _take(self, event):
        with self.changed:
            expected = self.events[-1]["seq"] + 1 if self.events else 1
            if event["seq"] != expected:
                event = {"type": "hole", "seq": event["seq"], "data": {"expected": expected}}
            self.events.append(event)
            self.changed.notify_all()
        if event["type"] == "permission.requested" and self.answers:
            threading.Thread(target=self.answer, args=(event["data"], self.answers), daemon=True).start()

    def close(self):
        self.closed = True

    # What people do

    def send(self, text, **more):
        self.sent += 1
        message = f"m{self.sent}"
        status, answer = self.server.call("POST", f"/sessions/{self.id}/messages", {"message_id": message, "text": text, **more})
        if status != 202:
            raise Failed(f"a message was not taken: {status} {answer}")
        return message

    def answer(self, permission, kind):
        """The status of the call."""
        option = next((option for option in permission["options"] if option["kind"] == kind), None)
        if option is None:
            raise Failed(f"no option {kind} among {[option['kind'] for option in permission['options']]}")
        body = {"outcome": "selected", "option_id": option["option_id"]}
        return self.server.call("POST", f"/sessions/{self.id}/permissions/{permission['permission_id']}", body)[0]

    def interrupt(self):
        self.server.call("POST", f"/sessions/{self.id}/interrupt", {})

    def stop(self):
        self.server.call("POST", f"/sessions/{self.id}/stop", {})
        self.wait(lambda event: becomes(event, "ENDED"), "an end", 30)

    def get(self):
        return self.server.call("GET", f"/sessions/{self.id}")[1]

    def until_ready(self):
        """A session that cannot start says why."""
        fits = lambda event: event["type"] in ("transport.started", "transport.failed") or becomes(event, "ENDED")
        event = self.wait(fits, "handshake", 60)
        if event["type"] != "transport.started":
            raise Failed(f"it did not start: {event['data'].get('detail', event['data'])}")

    # What people see

    def mark(self):
        return len(self.events)

    def wait(self, fits, what, timeout=30, since=0):
        """The first event that fits, of those from `since` on."""
        end = time.monotonic() + timeout
        at = since
        with self.changed:
            while True:
                for event in self.events[at:]:
                    at += 1
                    if event["type"] == "hole":
                        raise Failed(f"a hole in the stream: {event}")
                    if fits(event):
                        return event
                if not self.changed.wait(max(0, end - time.monotonic())) and time.monotonic() >= end:
                    raise Failed(f"no {what} within {timeout} s")

    def turn(self, message, timeout=40):
        """The end of this message's turn; what failed is said."""

        def fits(event):
            return event["type"] in ("turn.ended", "message.failed") and event["data"]["message_id"] == message

        event = self.wait(fits, "end of the turn", timeout)
        if event["type"] == "message.failed":
            raise Failed(f"the message failed: {event['data']['reason']}")
        return event["data"]

    def of(self, *types, since=0):
        return [event["data"] for event in self.events[since:] if event["type"] in types]

    def said(self, since=0):
        return "".join(chunk.get("delta") or "" for chunk in self.of("agent.message", since=since))


def becomes(event, state):
    return event["type"] == "session.state" and event["data"]["to"] == state


def processes():
    """Pid, command line, environment and folder of every process that we may look into."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            command = (folder / "cmdline").read_bytes()
            yield int(folder.name), command, (folder / "environ").read_bytes(), os.readlink(folder / "cwd")
        except OSError:
            continue


def left_of(server, session=None):
    """What runs of a session, or of a whole server: by the mark in its environment, or by its folder if it shed that."""
    found = []
    for pid, command, environment, cwd in processes():
        if server.process and pid == server.process.pid:
            continue
        mark = next((entry for entry in environment.split(b"\0") if entry.startswith(MARKER)), b"")
        # STORE/SESSION/RUN; what has no mark and works in our folder is nobody's else.
        is_ours = session.id.encode() in mark if session and mark else cwd.startswith(str(server.folder))
        if is_ours and command:
            found.append((pid, command.replace(b"\0", b" ").decode(errors="replace").strip()))
    return found


def until_gone(server, session=None, timeout=5):
    end = time.monotonic() + timeout
    while left := left_of(server, session):
        if time.monotonic() > end:
            raise Failed(f"left behind: {'; '.join(command[:60] for _, command in left)}")
        time.sleep(0.1)
