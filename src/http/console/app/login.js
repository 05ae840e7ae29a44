// The way in: a token for a cookie that this page cannot read.

import { problemOf } from "./dialogs.js";
import { h } from "./dom.js";

/** @param {import("../seawall.js").Client} client @param {number} waiting messages that wait for it @param {() => void} done */
export function loginView(client, waiting, done) {
  const token = h("input", { type: "password", id: "token", name: "token", autocomplete: "current-password", required: true, "aria-describedby": "token-help" });
  const fault = h("p", { class: "fault", role: "alert" });
  const ok = h("button", { class: "yes" }, "Sign in");
  const form = h("form", { class: "login" },
    h("h1", {}, "Seawall"),
    waiting > 0 && h("p", {}, `${waiting} ${waiting === 1 ? "message waits" : "messages wait"} here and will be sent when you are signed in.`),
    // Password managers want a name to go with it.
    h("input", { type: "text", name: "username", autocomplete: "username", value: location.host, hidden: true, "aria-hidden": "true", tabindex: -1 }),
    h("label", { class: "field" }, h("span", {}, "Token"), token),
    h("p", { id: "token-help", class: "meta" }, "The server's first one is in the file `token` in its data folder; `seawall token` makes others."),
    fault, ok);
  form.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    ok.disabled = true;
    try {
      await client.login(token.value.trim());
      token.value = "";
      done();
    } catch (error) {
      fault.textContent = problemOf(error);
      token.focus();
    }
    ok.disabled = false;
  });
  return { element: h("div", { class: "page" }, form), focus: () => token.focus() };
}
