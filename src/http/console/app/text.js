// What agents print, as text that does nothing but stand there: no terminal's codes, no invisible reordering. Pure.

// CSI, then OSC, DCS, APC, PM and SOS up to their end (or the end of the text), then two-character escapes.
// eslint-disable-next-line no-control-regex
const ESCAPES = /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]?/g;
// eslint-disable-next-line no-control-regex
const CONTROLS = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g;
// They would make a text read otherwise than it is: `safe(txt.exe` from `safe(exe.txt`.
const REORDERING = /[\u202a-\u202e\u2066-\u2069]/g;

/** @param {unknown} text */
export function clean(text) {
  return String(text ?? "")
    .replace(ESCAPES, "")
    .replace(/\r\n?/g, "\n")
    .replace(CONTROLS, "")
    .replace(REORDERING, "\ufffd");
}

/** On one line, for titles. @param {unknown} text @param {number} [max] */
export function oneLine(text, max = 200) {
  const line = clean(text).replace(/\s+/g, " ").trim();
  return line.length > max ? `${line.slice(0, max - 1)}…` : line;
}
