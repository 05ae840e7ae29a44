"""An agent that says what a recording has, each line when its turn comes: `replay.py RECORDING`, and whatever arguments the server
adds. It knows no earlier session, and says so as Claude Code does."""

import json
import sys


def main():
    unknown = [argument for argument in sys.argv[2:] if argument.startswith("--resume=")]
    if unknown:
        errors = [f"No conversation found with session ID: {unknown[0].partition('=')[2]}"]
        print(json.dumps({"type": "result", "subtype": "error_during_execution", "errors": errors}), flush=True)
        sys.exit(1)
    with open(sys.argv[1], encoding="utf-8") as recording:
        for step in map(json.loads, recording):
            if step["dir"] == "in":
                print(step["line"], flush=True)
            elif not sys.stdin.readline():
                return
    sys.stdin.read()


main()
