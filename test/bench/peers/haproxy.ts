import { findFreePort, findProgram, requireProgram, startProcess, type Peer } from "../peer.ts";

/** Settings under which HAProxy moves bytes; it leads to the origin in TCP mode and reads no CONNECT. */
function defineHaproxy(name: string, globals: readonly string[], options: readonly string[]): Peer {
  return {
    name,
    handshake: "none",
    forwards: false,
    version: ["haproxy", "-v"],
    findMissing: () => requireProgram("haproxy"),
    start(origin) {
      const port = findFreePort();
      const configuration = [
        "global",
        // For 8,000 tunnels, and as many pipes as the usual limit of 20,000 descriptors then leaves.
        "  maxconn 8200",
        "  maxpipes 1500",
        ...globals.map((line) => `  ${line}`),
        "defaults",
        "  mode tcp",
        "  timeout connect 5s",
        "  timeout client 10m",
        "  timeout server 10m",
        ...options.map((line) => `  option ${line}`),
        "listen bench",
        `  bind 127.0.0.1:${port} backlog 4096`,
        `  server origin 127.0.0.1:${origin.port}`,
        "",
      ].join("\n");
      return startProcess({
        port,
        files: () => ({ "haproxy.cfg": configuration }),
        command: (folder) => [findProgram("haproxy") ?? "haproxy", "-db", "-f", `${folder}/haproxy.cfg`],
      });
    },
  };
}

/** HAProxy at its best: splicing forced, pipes of 1 MiB, one thread as each lane is one. */
export const haproxyTuned = defineHaproxy(
  "haproxy (tuned)",
  ["nbthread 1", "tune.pipesize 1048576"],
  ["splice-request", "splice-response"],
);
/** HAProxy as its manual recommends splicing. */
export const haproxyAuto = defineHaproxy("haproxy (splice-auto)", [], ["splice-auto"]);
