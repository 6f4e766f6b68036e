import type { Peer } from "../peer.ts";

/** No proxy at all: what the machine and the load generator can do. */
export const direct: Peer = {
  name: "direct",
  handshake: "none",
  forwards: true,
  findMissing: () => undefined,
  start: (origin) =>
    Promise.resolve({ port: origin.port, pid: undefined, [Symbol.asyncDispose]: () => Promise.resolve() }),
};
