import { findFreePort, findProgram, requireProgram, startProcess, type Peer } from "../peer.ts";

/** Squid without a cache and without a log: only the proxy. */
export const squid: Peer = {
  name: "squid",
  handshake: "connect",
  forwards: true,
  version: ["squid", "--version"],
  findMissing: () => requireProgram("squid"),
  start() {
    const port = findFreePort();
    const configuration = (folder: string): string =>
      [
        `http_port 127.0.0.1:${port}`,
        `pid_filename ${folder}/squid.pid`,
        `coredump_dir ${folder}`,
        `cache_log ${folder}/cache.log`,
        "access_log none",
        "cache deny all",
        "cache_mem 8 MB",
        "pinger_enable off",
        "visible_hostname bench",
        "shutdown_lifetime 0 seconds",
        "max_filedescriptors 16384",
        "http_access allow all",
        "",
      ].join("\n");
    // `-n` gives its shared memory a name of its own, so that other Squids may run on the machine.
    return startProcess({
      port,
      files: (folder) => ({ "squid.conf": configuration(folder) }),
      command: (folder) => [findProgram("squid") ?? "squid", "-N", "-n", `bench${port}`, "-f", `${folder}/squid.conf`],
    });
  },
};
