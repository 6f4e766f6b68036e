import { describe, expect, test } from "bun:test";
import { PassedSockets } from "../../../../src/net/handover/passed-sockets.ts";
import type { OfferedSocket } from "../../../../src/protocol/handover/message.ts";

const offered: readonly OfferedSocket[] = [
  { kind: "listener", host: "127.0.0.1", port: 0, bound: 4001 },
  { kind: "listener", host: "127.0.0.1", port: 0, bound: 4002 },
  { kind: "sidecar", host: "127.0.0.1", port: 0, bound: 4003 },
  { kind: "listener", host: "::", port: 8080, bound: 8080 },
  { kind: "unix", path: "/run/a.sock" },
  { kind: "activated", name: "edge" },
];

/** Numbers that no descriptor of this process has: nothing is closed by mistake. */
function open(): PassedSockets {
  const passed = new PassedSockets();
  passed.fill(offered, [900_000, 900_001, 900_002, 900_003, 900_004, 900_005]);
  return passed;
}

describe("passed sockets", () => {
  test("go to the listener with their address, each once", () => {
    const passed = open();
    expect(passed.take("listener", "::", 8080)).toBe(900_003);
    expect(passed.take("listener", "::", 8080)).toBeUndefined();
    expect(passed.take("listener", "127.0.0.1", 8080)).toBeUndefined();
    expect(passed.taken).toEqual([3]);
  });

  test("keep the ports that the system chose, in the order of the listeners", () => {
    const passed = open();
    expect(passed.take("sidecar", "127.0.0.1", 0)).toBe(900_002);
    expect(passed.take("listener", "127.0.0.1", 0)).toBe(900_000);
    expect(passed.take("listener", "127.0.0.1", 0)).toBe(900_001);
    expect(passed.take("listener", "127.0.0.1", 0)).toBeUndefined();
  });

  test("are found by the real port, too, and by another spelling of the address", () => {
    const passed = open();
    expect(passed.take("listener", "127.0.0.1", 4002)).toBe(900_001);
    expect(passed.take("sidecar", "0:0:0:0:0:0:0:0", 8080)).toBe(900_003);
  });

  test("go to the sidecar by their path, and to the service manager's by their name", () => {
    const passed = open();
    expect(passed.takeUnix("/run/b.sock")).toBeUndefined();
    expect(passed.takeUnix("/run/a.sock")).toBe(900_004);
    expect(passed.takeActivated()).toEqual([{ name: "edge", fd: 900_005 }]);
    expect(passed.taken).toEqual([4, 5]);
  });
});
