// How times, sizes and words of the contract are said to people. Pure.

/** @param {number} ms from now on, or negative for what is over */
export function ago(ms) {
  const seconds = Math.round(Math.abs(ms) / 1000);
  if (seconds < 10) return "now";
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

/** What is left until a deadline. @param {number} ms */
export function left(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** @param {number | null | undefined} bytes */
export function bytes(bytes) {
  if (bytes === null || bytes === undefined) return "?";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; bytes >= 1024 && unit < units.length - 1; unit += 1) bytes /= 1024;
  return `${bytes < 10 && unit > 0 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}

/** A fixed word of the contract, as one would say it. @param {string | null | undefined} word */
export function words(word) {
  return (word ?? "").replaceAll("_", " ").toLowerCase();
}

/** What a session is, as one word for people: the state, and what runs in it. @param {any} session */
export function standing({ state, client_state: client, end_reason: reason }) {
  if (client === "requires_action") return { word: "needs you", tone: "alert" };
  if (state === "ENDED") {
    const isBad = ["start_failed", "restart_limit", "error"].includes(reason);
    return { word: reason ? words(reason) : "ended", tone: isBad ? "bad" : "off" };
  }
  if (client === "running") return { word: "running", tone: "run" };
  if (state === "ACTIVE" || state === "DETACHED" || state === "SUSPENDED") return { word: "idle", tone: "idle" };
  return { word: words(state), tone: "wait" };
}
