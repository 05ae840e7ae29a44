// How a session stands, from what its stream says: the snapshot, and each event behind it. Pure.

export class Condition {
  state = "";
  client_state = "";
  /** @type {string | null} */
  end_reason = null;
  /** @type {string | null} */
  title = null;
  agent = "";
  /** Open permissions and questions by id. @type {Map<string, any>} */
  asks = new Map();

  /** What the list knows of it, until the stream says more. @param {any} session */
  begin({ state, client_state, end_reason, title, agent }) {
    Object.assign(this, { state, client_state, end_reason, title, agent });
  }

  get isKnown() {
    return this.state !== "";
  }

  /** @param {any} snapshot */
  snapshot({ state, client_state, title, agent, pending_permissions: permissions, pending_questions: questions = [] }) {
    Object.assign(this, { state, client_state, title, agent });
    this.asks.clear();
    for (const ask of permissions) this.#ask("permission", ask);
    for (const ask of questions) this.#ask("question", ask);
  }

  /** Also an event that a page has shown already: it came after the snapshot. @param {any} event */
  event({ type, data }) {
    switch (type) {
      case "session.state":
        Object.assign(this, { state: data.to, client_state: data.client_state, end_reason: data.reason });
        break;
      case "session.titled":
        this.title = data.title;
        break;
      case "turn.started":
        this.client_state = "running";
        break;
      case "turn.ended":
        this.client_state = "idle";
        break;
      case "permission.requested":
        this.#ask("permission", data);
        this.client_state = "requires_action";
        break;
      case "question.requested":
        this.#ask("question", data);
        this.client_state = "requires_action";
        break;
      case "permission.resolved":
      case "question.resolved":
        this.asks.delete(data.permission_id ?? data.question_id);
        // The turn goes on; its end says so itself.
        if (this.asks.size === 0 && this.client_state === "requires_action") this.client_state = "running";
    }
  }

  /** As a block of the transcript: it may have none, where its event is not loaded. @param {string} what @param {any} ask */
  #ask(what, ask) {
    const id = ask.permission_id ?? ask.question_id;
    this.asks.set(id, { kind: "ask", key: `a:${id}`, id, what, ask, outcome: null, rev: 0 });
  }
}
