import { findFreePort, findProgram, startProcess, type Peer } from "../peer.ts";

const source = new URL("../load/minimal.c", import.meta.url).pathname;

/** The system calls of a proxy and nothing else, in C: the limit that the others are measured by. */
export const minimal: Peer = {
  name: "minimal (C)",
  handshake: "connect",
  forwards: true,
  findMissing: () =>
    findProgram("cc") === undefined ? "cc is not installed (Debian: apt-get install gcc)." : undefined,
  start() {
    const port = findFreePort();
    const script = 'cc -O2 -o minimal "$1" && exec ./minimal "$2"';
    return startProcess({ port, command: () => ["sh", "-c", script, "sh", source, String(port)] });
  },
};
