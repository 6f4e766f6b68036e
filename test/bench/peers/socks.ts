import { findFreePort, findProgram, requireProgram, startProcess, type Peer } from "../peer.ts";

/** A thread for each connection, and nothing else. */
export const microsocks: Peer = {
  name: "microsocks",
  handshake: "socks5",
  forwards: false,
  findMissing: () => requireProgram("microsocks"),
  start() {
    const port = findFreePort();
    return startProcess({
      port,
      command: () => [findProgram("microsocks") ?? "microsocks", "-i", "127.0.0.1", "-p", String(port)],
    });
  },
};

/** Dante's server: processes that share the connections among them. */
export const danted: Peer = {
  name: "danted",
  handshake: "socks5",
  forwards: false,
  version: ["danted", "-v"],
  findMissing: () => requireProgram("danted", "dante-server"),
  start() {
    const port = findFreePort();
    const lines = [
      "logoutput: /dev/null",
      `internal: 127.0.0.1 port = ${port}`,
      "external: lo",
      "socksmethod: none",
      "clientmethod: none",
      "user.privileged: root",
      "user.unprivileged: nobody",
      "client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }",
      "socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }",
      "",
    ];
    return startProcess({
      port,
      files: () => ({ "danted.conf": lines.join("\n") }),
      command: (folder) => [
        findProgram("danted") ?? "danted",
        "-f",
        `${folder}/danted.conf`,
        "-p",
        `${folder}/danted.pid`,
      ],
    });
  },
};
