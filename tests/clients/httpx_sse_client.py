"""Follows a stream with `httpx-sse` until the turns of so many sessions have ended; prints the data of all events.

    python3 httpx_sse_client.py URL TOKEN SESSIONS

The library leaves it to its caller to come back with the last id that it has given out.
"""

import json
import sys

import httpx
from httpx_sse import connect_sse

url, token, sessions = sys.argv[1:]
running = int(sessions)
headers = {"Authorization": f"Bearer {token}"}
with httpx.Client(timeout=60) as client:
    while running:
        try:
            with connect_sse(client, "GET", url, headers=dict(headers)) as source:
                for sse in source.iter_sse():
                    if sse.id:
                        headers["Last-Event-ID"] = sse.id
                    if sse.event != "message":
                        continue
                    print(sse.data)
                    running -= json.loads(sse.data)["type"] == "turn.ended"
                    if not running:
                        break
        except httpx.TransportError as error:
            print(f"comes back after: {error}", file=sys.stderr)
