import { findFreePort, startProcess, type Peer } from "../peer.ts";

/** Splice lanes and nothing else: every connection goes to a lane at once. Shows what the engine alone costs. */
export const laneAlone: Peer = {
  name: "lane alone",
  handshake: "none",
  forwards: false,
  findMissing: () => (process.platform === "linux" ? undefined : "Splice lanes need Linux."),
  start(origin) {
    const port = findFreePort();
    const program = new URL("../load/lane-forwarder.ts", import.meta.url).pathname;
    return startProcess({ port, command: () => [process.execPath, program, String(port), String(origin.port)] });
  },
};
