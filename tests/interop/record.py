"""Writes down both sides of a conversation with an agent, as tests/data/agents has them. Stands as the command of a profile:

    command = "python3"
    args = ["tests/interop/record.py", "OUTPUT.jsonl", "the", "agent's", "command"]

What is specific to a machine has to be taken out by hand, and long lists shortened.
"""

import json
import subprocess
import sys
import threading


def main():
    output, command = sys.argv[1], sys.argv[2:]
    agent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    lock = threading.Lock()
    with open(output, "a", encoding="utf-8") as record:

        def pump(direction, source, sink):
            for line in source:
                with lock:
                    step = {"dir": direction, "line": line.decode(errors="replace").rstrip("\n")}
                    record.write(json.dumps(step, ensure_ascii=False) + "\n")
                    record.flush()
                try:
                    sink.write(line)
                    sink.flush()
                except BrokenPipeError:
                    return
            sink.close()

        threading.Thread(target=pump, args=("out", sys.stdin.buffer, agent.stdin), daemon=True).start()
        pump("in", agent.stdout, sys.stdout.buffer)
    sys.exit(agent.wait())


if __name__ == "__main__":
    main()
