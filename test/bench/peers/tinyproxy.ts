import { findFreePort, findProgram, requireProgram, startProcess, type Peer } from "../peer.ts";

export const tinyproxy: Peer = {
  name: "tinyproxy",
  handshake: "connect",
  forwards: true,
  version: ["tinyproxy", "-v"],
  findMissing: () => requireProgram("tinyproxy"),
  start() {
    const port = findFreePort();
    const lines = [`Port ${port}`, "Listen 127.0.0.1", "Timeout 600", "MaxClients 9000", "LogLevel Critical", ""];
    return startProcess({
      port,
      files: () => ({ "tinyproxy.conf": lines.join("\n") }),
      command: (folder) => [findProgram("tinyproxy") ?? "tinyproxy", "-d", "-c", `${folder}/tinyproxy.conf`],
    });
  },
};
