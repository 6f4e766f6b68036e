import type { Socket } from "bun";
import { startLanes } from "../../../src/net/splice/lane-pool.ts";
import { openLibc } from "../../../src/net/libc/libc.ts";
import { takeFromRuntime } from "../../support/take-from-runtime.ts";

/** `bun lane-forwarder.ts PORT ORIGIN_PORT`: leads every connection to the origin through a splice lane, from its first byte. */
const [port, originPort] = process.argv.slice(2).map(Number);
const lanes = startLanes({ lanes: 1 });
const libc = openLibc();
if (!lanes.ok || libc === undefined) throw new Error(lanes.ok ? "There is no C library." : lanes.reason);
await lanes.pool.warm();

const take = (socket: Socket<undefined>): number => takeFromRuntime(libc, socket);

Bun.listen<undefined>({
  hostname: "127.0.0.1",
  port: port ?? 0,
  allowHalfOpen: true,
  socket: {
    data: () => undefined,
    open(client) {
      client.pause();
      client.setNoDelay(true);
      const connecting = Bun.connect<undefined>({
        hostname: "127.0.0.1",
        port: originPort ?? 0,
        allowHalfOpen: true,
        socket: {
          data: () => undefined,
          open(target) {
            target.setNoDelay(true);
            if (!lanes.pool.hasRoom()) throw new Error("The lane is full.");
            lanes.pool.adopt({ clientFd: take(client), targetFd: take(target), idleMs: 0 });
          },
        },
      });
      connecting.catch(() => client.terminate());
    },
  },
});
