// An agent that speaks ACP and says what it is told to, to the letter: whatever one may send.
//   tools N     N tool calls, each a block of its own
//   a text of told.json: what stands there
//   JSON        an update as it is, or a list of them
//   TEXT        TEXT, in one piece

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const write = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
const update = (sessionId, update) => write({ method: "session/update", params: { sessionId, update } });

const told = JSON.parse(readFileSync(new URL("told.json", import.meta.url), "utf8"));

function updates(text) {
  if (text in told) return told[text];
  const tools = /^tools (\d+)$/.exec(text);
  if (tools) {
    return Array.from({ length: Number(tools[1]) }, (_, number) => ({
      sessionUpdate: "tool_call", toolCallId: `t${number + 1}`, title: `Tool ${number + 1}`, kind: "read", status: "completed",
    }));
  }
  try {
    const value = JSON.parse(text);
    return Array.isArray(value) ? value : [value];
  } catch {
    return [{ sessionUpdate: "agent_message_chunk", content: { type: "text", text } }];
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (method === "initialize") write({ id, result: { protocolVersion: 1, agentCapabilities: {}, authMethods: [] } });
  else if (method === "session/new") write({ id, result: { sessionId: "s1" } });
  else if (method === "session/prompt") {
    for (const each of updates(params.prompt.map(({ text }) => text).join("\n"))) update(params.sessionId, each);
    write({ id, result: { stopReason: "end_turn" } });
  } else if (id !== undefined && method !== undefined) write({ id, error: { code: -32601, message: "unknown" } });
}
