// Follows a stream with npm's `eventsource` until the turns of so many sessions have ended; prints the data of all events.
//   node eventsource.cjs URL TOKEN SESSIONS      NODE_PATH says where the package is
const { EventSource } = require("eventsource");

const [url, token, sessions] = process.argv.slice(2);
let running = Number(sessions);
const source = new EventSource(url, {
  fetch: (input, init) =>
    fetch(input, { ...init, headers: { ...init.headers, Authorization: `Bearer ${token}` } }),
});
source.onmessage = ({ data }) => {
  process.stdout.write(data + "\n");
  if (JSON.parse(data).type === "turn.ended" && --running === 0) source.close();
};
source.onerror = (error) => {
  if (source.readyState !== EventSource.CLOSED) return;
  console.error(`it reconnects no more: ${error.message}`);
  process.exitCode = 1;
};
