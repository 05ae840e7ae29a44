// The client of Seawall for browsers and Node.js: typed calls, a stream that reconnects by itself, and an outbox that
// keeps messages until they are acknowledged. The same states and rules as the Rust client's, held to by the same test
// vectors. It depends on nothing.
//
//   import { Client, Outbox, TabStorage } from "/client.js";
//   const client = new Client();                        // the page's own server, by its cookie
//   for await (const item of client.stream({ sessions: [id], after: { [id]: 0 } })) …

export { Client } from "./client/client.js";
export { systemClock } from "./client/clock.js";
export { ClientError } from "./client/error.js";
export { History } from "./client/history.js";
export { Outbox } from "./client/outbox.js";
export { Place } from "./client/place.js";
export { OUTBOX_MAX, Queue, QueueError } from "./client/queue.js";
export { CALL_TIMEOUT } from "./client/retry.js";
export { Decoder } from "./client/sse.js";
export { StorageError, TabStorage } from "./client/storage.js";
export { Stream } from "./client/stream.js";
export { freshId } from "./client/id.js";
