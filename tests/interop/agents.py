"""The agents that are tried: where each comes from, how a profile starts it, and what it does not do."""

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "target/interop"


class Agent:
    """One agent, of one version."""

    name = title = package = version = protocol = ""
    # It obeys the words of models.py; else each of its turns is the same.
    scripted = True
    # What happens to its context when it is killed in a turn; None: it is resumed.
    context = "resumed"

    @property
    def folder(self):
        return FOLDER / f"{self.name}-{self.version}"

    @property
    def modules(self):
        return self.folder / "node_modules"

    def install(self):
        """Does nothing where this version is there. Scripts of packages are run only where an agent needs one, by name."""
        done = self.folder / "installed"
        if done.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        # Without a package of its own, npm would install into a folder above.
        (self.folder / "package.json").write_text("{}")
        options = ["--silent", "--no-fund", "--no-audit", "--ignore-scripts"]
        subprocess.run(["npm", "install", *options, f"{self.package}@{self.version}"], cwd=self.folder, check=True)
        self.finish()
        done.touch()

    def finish(self):
        pass

    def prepare(self, home, models):
        """Writes what the agent reads in its home."""

    def command(self):
        raise NotImplementedError

    def env(self, models):
        return {}

    def profile(self, models):
        command, *args = (str(part) for part in self.command())
        env = ", ".join(f"{key} = {json.dumps(value)}" for key, value in self.env(models).items())
        return f"""
[agents.{self.name}]
protocol = "{self.protocol}"
command = {json.dumps(command)}
args = {json.dumps(args)}
env = {{ {env} }}
"""


def of_anthropic(models):
    return {
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{models}",
        "ANTHROPIC_API_KEY": "none",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        # As root it refuses some modes outside of a sandbox.
        "IS_SANDBOX": "1",
    }


class ClaudeCode(Agent):
    name, title = "claude-code", "Claude Code"
    package, version = "@anthropic-ai/claude-code", "2.1.330"
    protocol = "stream-json"

    def finish(self):
        subprocess.run(["node", "install.cjs"], cwd=self.modules / self.package, check=True)

    def command(self):
        return [self.modules / self.package / "bin/claude.exe"]

    def env(self, models):
        return of_anthropic(models)


class Codex(Agent):
    name, title = "codex", "Codex"
    package, version = "@openai/codex", "0.169.0"
    protocol = "codex"

    def prepare(self, home, models):
        folder = home / ".codex"
        folder.mkdir()
        (folder / "config.toml").write_text(
            f"""
model = "stand-in"
model_provider = "stand-in"
approval_policy = "on-request"
sandbox_mode = "workspace-write"
[model_providers.stand-in]
name = "stand-in"
base_url = "http://127.0.0.1:{models}/v1"
wire_api = "responses"
request_max_retries = 0
"""
        )

    def command(self):
        # By its shim, as npm installs it: behind that is a native program, which must not be left alone.
        return ["node", self.modules / self.package / "bin/codex.js"]


class ClaudeAgentAcp(Agent):
    name, title = "claude-agent-acp", "claude-agent-acp"
    package, version = "@agentclientprotocol/claude-agent-acp", "0.49.0"
    protocol = "acp"

    def command(self):
        return ["node", self.modules / self.package / "dist/index.js"]

    def env(self, models):
        return of_anthropic(models)


class OpenCode(Agent):
    name, title = "opencode", "OpenCode"
    package, version = "opencode-ai", "1.18.33"
    protocol = "acp"

    def finish(self):
        subprocess.run(["node", "postinstall.mjs"], cwd=self.modules / self.package, check=True)

    def prepare(self, home, models):
        folder = home / ".config/opencode"
        folder.mkdir(parents=True)
        provider = {
            "npm": "@ai-sdk/openai-compatible",
            "name": "stand-in",
            "options": {"baseURL": f"http://127.0.0.1:{models}/v1", "apiKey": "none"},
            "models": {"stand-in": {"name": "stand-in"}},
        }
        config = {
            "model": "stand-in/stand-in",
            "small_model": "stand-in/stand-in",
            "provider": {"stand-in": provider},
            "permission": {"bash": "ask", "edit": "ask"},
            "autoupdate": False,
            "share": "disabled",
        }
        (folder / "opencode.json").write_text(json.dumps(config))

    def command(self):
        return [self.modules / self.package / "bin/opencode.exe", "acp"]

    def env(self, models):
        return {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1"}


class Goose(Agent):
    name, title = "goose", "Goose"
    package, version = "@aaif/goose-acp", "1.50.0"
    protocol = "acp"

    def command(self):
        return ["node", self.modules / self.package / "bin/goose.mjs", "acp"]

    def env(self, models):
        return {
            "GOOSE_PROVIDER": "openai",
            "GOOSE_MODEL": "stand-in",
            "GOOSE_MODE": "approve",
            "GOOSE_DISABLE_KEYRING": "1",
            "OPENAI_HOST": f"http://127.0.0.1:{models}",
            "OPENAI_API_KEY": "none",
        }


class Example(Agent):
    name, title = "acp-example", "ACP example"
    package, version = "@agentclientprotocol/sdk", "0.5.1"
    protocol = "acp"
    scripted = False
    context = "lost"

    def command(self):
        return ["node", self.modules / self.package / "dist/examples/agent.js"]


AGENTS = [ClaudeCode(), Codex(), ClaudeAgentAcp(), OpenCode(), Goose(), Example()]
