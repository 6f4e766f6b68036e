// One text for the repository and for `penstock init`: it is compiled in.
import text from "../../proxy.config.ts" with { type: "text" };
import { editorFileNames } from "./editor-files.ts";

export type ConfigFormat = "ts" | "yaml" | "json" | "toml";

/** A file to begin with. */
interface ExampleConfig {
  readonly file: string;
  readonly text: string;
  /** What its first line tells an editor to read. */
  readonly needs: keyof typeof editorFileNames;
}

/** The commented configuration in TypeScript, without the line for editors. */
export const exampleConfig: string = text as unknown as string;

const SCHEMA = `./${editorFileNames.schema}`;

/** The same settings in another format, with the line that makes editors know them. */
export const exampleConfigs: Readonly<Record<ConfigFormat, ExampleConfig>> = {
  ts: {
    file: "proxy.config.ts",
    text: `/// <reference path="./${editorFileNames.types}" />\n${exampleConfig}`,
    needs: "types",
  },
  yaml: {
    file: "proxy.config.yaml",
    text: `# yaml-language-server: $schema=${SCHEMA}\n${writeYaml()}`,
    needs: "schema",
  },
  toml: { file: "proxy.config.toml", text: `#:schema ${SCHEMA}\n${writeToml()}`, needs: "schema" },
  json: { file: "proxy.config.json", text: writeJson(), needs: "schema" },
};

function writeYaml(): string {
  return `# Configuration of Penstock. Every setting: docs/configuration.md, or your
# editor's completion. \`penstock check\` says what is wrong and what holds.

# Where clients connect. Beyond loopback the proxy needs users.
listen: ["127.0.0.1:8080"]

# Who may use it. \`penstock passwd --file users.htpasswd alice\` puts a line into
# the file, which is read again when it changes. Also a list of names and passwords.
# users: { file: users.htpasswd }

# Upstream proxies by name: http, https, socks5, socks5h or socks4a.
# upstreams:
#   corp: { url: "http://proxy.corp.example:3128", username: edge, password: { env: CORP_PASSWORD } }
#   exit: "socks5h://10.0.0.7:1080"

# Who may go where, and which way. The first rule that matches decides. Private,
# loopback and other special addresses are refused unless a rule has allowPrivate.
rules:
  - { name: no-mail, to: ["*:25"], deny: true }
  # - { name: registry, users: [ci], to: ["*.npmjs.org:443"], via: corp }
  # - { name: lab, from: ["192.0.2.0/24"], to: ["10.20.0.0/16"], allowPrivate: true }

# What holds when no rule matches: direct, deny, or the name of an upstream.
default: direct

# limits: { connections: 10000, perUser: { connections: 200 } }
# timeouts: { handshake: 10s, connect: 10s, idle: 10m, drain: 10s }

# Health, metrics and live tunnels over HTTP.
# sidecar: { port: 9080, token: { env: SIDECAR_TOKEN } }

# The line for each connection: json, text or off.
# log: { access: json }
`;
}

function writeToml(): string {
  return `# Configuration of Penstock. Every setting: docs/configuration.md, or your
# editor's completion. \`penstock check\` says what is wrong and what holds.

# Where clients connect. Beyond loopback the proxy needs users.
listen = ["127.0.0.1:8080"]

# What holds when no rule matches: "direct", "deny", or the name of an upstream.
default = "direct"

# Who may use it. \`penstock passwd --file users.htpasswd alice\` puts a line into
# the file, which is read again when it changes. Also a list of names and passwords.
# users = { file = "users.htpasswd" }

# timeouts = { handshake = "10s", connect = "10s", idle = "10m", drain = "10s" }

# Health, metrics and live tunnels over HTTP.
# sidecar = { port = 9080, token = { env = "SIDECAR_TOKEN" } }

# The line for each connection: "json", "text" or "off".
# log = { access = "json" }

# Upstream proxies by name: http, https, socks5, socks5h or socks4a.
# [upstreams]
# corp = { url = "http://proxy.corp.example:3128", username = "edge", password = { env = "CORP_PASSWORD" } }
# exit = "socks5h://10.0.0.7:1080"

# Who may go where, and which way. The first rule that matches decides. Private,
# loopback and other special addresses are refused unless a rule has allowPrivate.
[[rules]]
name = "no-mail"
to = ["*:25"]
deny = true

# [[rules]]
# name = "registry"
# users = ["ci"]
# to = ["*.npmjs.org:443"]
# via = "corp"
`;
}

/** JSON has no comments. */
function writeJson(): string {
  return `{
  "$schema": "${SCHEMA}",
  "listen": ["127.0.0.1:8080"],
  "rules": [{ "name": "no-mail", "to": ["*:25"], "deny": true }],
  "default": "direct"
}
`;
}
