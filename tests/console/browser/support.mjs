// The real server in a process of its own, a network that can be cut, and Chromium in front of it.
//   SEAWALL        the program
//   NODE_PATH      where playwright-core and axe-core are

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const { chromium } = require("playwright-core");

/** How long anything may take before it counts as broken; generous, for slow machines. */
export const PATIENCE = 30_000;

/** Looks again and again until something holds; what it gave. */
export async function eventually(what, holds) {
  const begin = Date.now();
  for (;;) {
    let last;
    try {
      const found = await holds();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    if (Date.now() - begin > PATIENCE) throw new Error(`it did not come to pass: ${what}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A server with its own data; killed and started anew on the same address. */
export class Server {
  #folder = mkdtempSync(join(tmpdir(), "seawall-console-"));
  #process = null;

  /** `token`: the one that `more` configures; `isAdmin`: whether the public listener answers admin calls. */
  static async start(more = "", { token, isAdmin = true } = {}) {
    const server = new Server();
    server.token = token;
    server.port = await freePort();
    const admin = await freePort();
    server.url = `http://127.0.0.1:${server.port}`;
    const own = `[server]\nlisten = "127.0.0.1:${server.port}"\nadmin_api = ${isAdmin}\n[admin]\nlisten = "127.0.0.1:${admin}"\n`;
    const said = fileURLToPath(new URL("../agent.mjs", import.meta.url));
    const agents = `[agents.sh]\nprotocol = "lines"\ncommand = "sh"\n[agents.parrot]\nprotocol = "acp"\ncommand = ${JSON.stringify(process.execPath)}\nargs = [${JSON.stringify(said)}]\n`;
    writeFileSync(join(server.#folder, "seawall.toml"), own + agents + more);
    await server.run();
    return server;
  }

  async run() {
    const env = { ...process.env, STATE_DIRECTORY: this.#folder };
    const program = process.env.SEAWALL ?? assert.fail("SEAWALL must name the program");
    this.#process = spawn(program, ["serve", "--config", join(this.#folder, "seawall.toml")], { env, stdio: ["ignore", "ignore", "pipe"] });
    // A test that breaks off leaves none behind.
    const { pid } = this.#process;
    process.once("exit", () => this.#process.pid === pid && this.#process.kill("SIGTERM"));
    this.log = "";
    this.#process.stderr.on("data", (bytes) => (this.log += bytes));
    await eventually(`a server: ${this.log}`, async () => (await fetch(`${this.url}/v1/openapi.json`)).ok);
    // Where none is configured the server has made one.
    this.token ??= readFileSync(join(this.#folder, "token"), "utf8").trim();
  }

  /** No warning, no clean-up. */
  async kill(signal = "SIGKILL") {
    const gone = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill(signal);
    await gone;
  }

  async end() {
    // It takes its agents with it.
    await this.kill("SIGTERM");
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async call(method, path, body) {
    const headers = { authorization: `Bearer ${this.token}`, "content-type": "application/json" };
    const answer = await fetch(`${this.url}/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  async create(agent = "demo", title = undefined) {
    return (await this.call("POST", "sessions", { agent, title })).id;
  }

  send(id, text, message_id = `m${Math.random()}`) {
    return this.call("POST", `sessions/${id}/messages`, { message_id, text });
  }

  async events(id) {
    const all = [];
    for (let page = { has_more: true }; page.has_more; ) {
      page = await this.call("GET", `sessions/${id}/events?limit=1000&after=${all.length}`);
      all.push(...page.events);
    }
    return all;
  }

  /** Waits until the log has so many events of a type. */
  until(id, type, count = 1) {
    return eventually(`${count} ${type}`, async () => (await this.events(id)).filter((event) => event.type === type).length >= count);
  }
}

/** A network between browser and server. */
export class Network {
  #links = new Set();
  #isUp = true;

  static async to(server) {
    const network = new Network();
    network.#server = net.createServer((client) => network.#link(client, server.port)).listen(0, "127.0.0.1");
    await new Promise((resolve) => network.#server.once("listening", resolve));
    network.url = `http://127.0.0.1:${network.#server.address().port}`;
    return network;
  }

  #server;

  #link(client, port) {
    if (!this.#isUp) return client.resetAndDestroy();
    const server = net.connect(port, "127.0.0.1");
    const link = { client, server };
    this.#links.add(link);
    const end = () => {
      this.#links.delete(link);
      client.destroy();
      server.destroy();
    };
    for (const side of [client, server]) side.on("error", end).on("close", end);
    client.pipe(server);
    server.pipe(client);
  }

  /** Cuts all connections; none is made until `mend`. */
  cut() {
    this.#isUp = false;
    for (const { client, server } of this.#links) {
      client.resetAndDestroy();
      server.destroy();
    }
  }

  mend() {
    this.#isUp = true;
  }

  end() {
    this.cut();
    this.#server.close();
  }
}

/** Chromium; each page is looked at for errors and for what the policy had to hold off. */
export class Browser {
  faults = [];
  #browser;

  static async open() {
    const browser = new Browser();
    const args = ["--no-sandbox", "--disable-dev-shm-usage"];
    browser.#browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
    return browser;
  }

  /** A browser's profile, signed in. */
  async context(server, options = {}) {
    const context = await this.#browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    context.setDefaultTimeout(PATIENCE);
    context.on("weberror", (error) => this.faults.push(String(error.error().stack ?? error.error())));
    context.on("console", (message) => {
      if (/Content Security Policy|TrustedHTML|TrustedScript/.test(message.text())) this.faults.push(message.text());
    });
    // Playwright's own request would have no Origin.
    const answer = await context.request.post(`${server.url}/v1/login`, { data: { token: server.token }, headers: { origin: server.url } });
    assert.equal(answer.status(), 204);
    return context;
  }

  async close() {
    await this.#browser.close();
    assert.deepEqual(this.faults, []);
  }
}

/** What a file of tests plays on: a server and a browser, which end with it. */
export async function stage() {
  const server = await Server.start();
  const browser = await Browser.open();
  after(async () => {
    await browser.close();
    await server.end();
  });
  return { server, browser };
}

/** From a page's begin to the frame behind the one in which its first block was put there, in milliseconds, so many times in one tab. */
export async function firstBlocks(context, url, count) {
  const page = await context.newPage();
  await page.addInitScript(() => {
    const look = new MutationObserver(() => {
      if (!document.querySelector(".feed > .block")) return;
      look.disconnect();
      requestAnimationFrame(() => requestAnimationFrame(() => (window.firstBlock = performance.now())));
    });
    look.observe(document, { subtree: true, childList: true });
  });
  const times = [];
  while (times.length < count) {
    await page.goto("about:blank");
    await page.goto(url);
    times.push(await (await page.waitForFunction(() => window.firstBlock)).jsonValue());
  }
  return { page, times };
}

export const median = (all) => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)];

/** Opens the console at one session, and waits until it is live. */
export async function open(context, server, id = undefined) {
  const page = await context.newPage();
  await page.goto(`${server.url}/${id === undefined ? "" : `#/s/${id}`}`);
  await live(page);
  return page;
}

export const live = (page) => page.locator('#connection[data-tone="good"]').waitFor();

/** Writes a message and sends it. */
export async function say(page, text) {
  await page.fill("textarea", text);
  await page.keyboard.press("Enter");
}

/** The texts of what the agent has said, as they are shown. */
export const said = (page) => page.locator(".block.message .text").allInnerTexts();

/** Waits for a text somewhere in the transcript. */
export const shows = (page, text) => page.locator(".feed", { hasText: text }).waitFor();

/** What a phone does when another program comes in front, and when it goes. */
export const hide = (page) => turn(page, "hidden");
export const show = (page) => turn(page, "visible");

function turn(page, state) {
  return page.evaluate((state) => {
    Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
    document.dispatchEvent(new Event("visibilitychange"));
  }, state);
}

export const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };
