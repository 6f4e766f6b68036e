// Configuration of Penstock. Every setting: docs/configuration.md, or your
// editor's completion. `penstock check` says what is wrong and what holds.

import { defineConfig } from "penstock";

export default defineConfig({
  // Where clients connect. Beyond loopback the proxy needs users.
  listen: ["127.0.0.1:8080"],

  // Who may use it. `penstock passwd --file users.htpasswd alice` puts a line into
  // the file, which is read again when it changes. Also a list of { name, password: env("NAME") }
  // (import env from "penstock" too), or a function (name, password) => boolean.
  // users: { file: "users.htpasswd" },

  // Upstream proxies by name: http, https, socks5, socks5h or socks4a.
  // upstreams: {
  //   corp: { url: "http://proxy.corp.example:3128", username: "edge", password: { env: "CORP_PASSWORD" } },
  //   exit: "socks5h://10.0.0.7:1080",
  // },

  // Who may go where, and which way. The first rule that matches decides; a rule
  // may also be a function. Private, loopback and other special addresses are
  // refused unless a rule has allowPrivate.
  rules: [
    { name: "no-mail", to: ["*:25"], deny: true },
    // { name: "registry", users: ["ci"], to: ["*.npmjs.org:443"], via: "corp" },
    // { name: "lab", from: ["192.0.2.0/24"], to: ["10.20.0.0/16"], allowPrivate: true },
  ],

  // What holds when no rule matches: "direct", "deny", or the name of an upstream.
  default: "direct",

  // limits: { connections: 10_000, perUser: { connections: 200 } },
  // timeouts: { handshake: "10s", connect: "10s", idle: "10m", drain: "10s" },

  // Health, metrics and live tunnels over HTTP.
  // sidecar: { port: 9080, token: { env: "SIDECAR_TOKEN" } },

  // The line for each connection: "json", "text" or "off".
  // log: { access: "json" },
});
