// Why a call was not done, in kinds that are the caller's decisions: give up, try again, or ask for help. Reading the
// problem documents of newer servers and of proxies belongs here; retrying does not.

import { verdict } from "./retry.js";

/**
 * `refused`: the server said no. `unreachable`, `timed_out`: the call may or may not have been done. `malformed`:
 * something answered that is not a Seawall of this version.
 * @typedef {"refused" | "unreachable" | "timed_out" | "malformed"} ErrorKind
 */

export class ClientError extends Error {
  /**
   * @param {ErrorKind} kind
   * @param {string} message
   * @param {{status?: number, code?: string, detail?: string, retryAfter?: number, problem?: any}} [more]
   */
  constructor(kind, message, more = {}) {
    super(message);
    this.name = "ClientError";
    this.kind = kind;
    /** The answer's status; 0 where there was none. */
    this.status = more.status ?? 0;
    /** The fixed word of a refusal, else "". */
    this.code = more.code ?? "";
    this.detail = more.detail ?? message;
    /** Milliseconds after which the server said that trying again makes sense. @type {number | undefined} */
    this.retryAfter = more.retryAfter;
    /** The whole problem document of a refusal. */
    this.problem = more.problem;
  }

  /** Whether the same call, repeated, may be answered otherwise. Only calls that are safe to repeat should be. */
  get isTransient() {
    return verdict(this) === "again";
  }

  /** Whether there must be another login first. */
  get isSignedOut() {
    return verdict(this) === "signed_out";
  }
}

/**
 * A refusal out of an answer that is no 2xx.
 * @param {number} status
 * @param {string} body
 * @param {number} [retryAfter] milliseconds
 */
export function refusal(status, body, retryAfter) {
  let problem;
  try {
    problem = JSON.parse(body);
  } catch {
    // A proxy's page.
  }
  if (typeof problem !== "object" || problem === null) problem = {};
  const isWhole = typeof problem.code === "string";
  const code = isWhole ? problem.code : nearestCode(status);
  const given = typeof problem.detail === "string" ? problem.detail : undefined;
  const detail = given ?? `status ${status} without a reason; a proxy may have answered`;
  const word = isWhole ? code : String(status);
  return new ClientError("refused", `${detail} (${word})`, { status, code, detail, retryAfter, problem });
}

/** @param {number} status */
function nearestCode(status) {
  /** @type {Record<number, string>} */
  const codes = {
    401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed", 408: "request_timeout",
    409: "conflict", 410: "gone", 413: "too_large", 415: "unsupported_media_type", 421: "foreign_host",
    429: "queue_full",
  };
  return codes[status] ?? (status >= 400 && status < 500 ? "invalid_body" : "internal");
}

/**
 * Seconds, as our server writes them, or a date, as a proxy may; in milliseconds.
 * @param {string | null} header
 * @param {number} now
 */
export function retryAfter(header, now) {
  if (header === null) return undefined;
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
