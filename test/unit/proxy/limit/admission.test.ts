import { describe, expect, test } from "bun:test";
import type { Descriptors } from "../../../../src/net/conn/descriptors.ts";
import { Admission } from "../../../../src/proxy/limit/admission.ts";
import type { Runtime } from "../../../../src/proxy/runtime.ts";
import { compileForTest } from "../../../support/compile-for-test.ts";
import { makeIp } from "../../../support/make-policy.ts";
import { MemoryConn } from "../../../support/memory-conn.ts";
import { plentyOfDescriptors } from "../../../support/plenty-of-descriptors.ts";

const FD = 10;
const [near, far] = [makeIp("192.0.2.1"), makeIp("198.51.100.1")];

function makeRuntime(limits: Record<string, unknown> = {}, more: Record<string, unknown> = {}): Runtime {
  return compileForTest({ listen: ["127.0.0.1:0"], limits, ...more }).runtime;
}

describe("Admission", () => {
  test("counts in all, by client and by user, and gives back what was taken", async () => {
    const runtime = makeRuntime({ connections: 3, perClient: { connections: 2 }, perUser: { connections: 1 } });
    const admission = new Admission(plentyOfDescriptors);
    const admit = (ip = near): string | undefined => admission.admitClient(ip, runtime, FD)?.note;
    expect([admit(), admit(), admit(), admit(far), admit(far)]).toEqual([
      undefined,
      undefined,
      "from this address",
      undefined,
      "in all",
    ]);
    expect(admission.connections).toBe(3);
    const admitUser = (user?: string): string | undefined => admission.admitUser(user, runtime)?.note;
    expect([admitUser("ann"), admitUser("ann"), admitUser("bob"), admitUser(), admitUser()]).toEqual([
      undefined,
      "for this user",
      undefined,
      undefined,
      undefined,
    ]);
    admission.leaveUser("ann", runtime);
    expect(admitUser("ann")).toBeUndefined();
    const empty = admission.untilEmpty();
    for (const ip of [near, near, far]) admission.leaveClient(ip, runtime);
    await empty;
    expect([admission.connections, admit(), admit()]).toEqual([0, undefined, undefined]);
  });

  test("refuses who may not connect, and takes no slot for it", () => {
    const runtime = makeRuntime({}, { clients: ["198.51.100.0/24"] });
    const admission = new Admission(plentyOfDescriptors);
    expect(admission.admitClient(near, runtime, FD)).toEqual({ detail: "client_not_admitted" });
    expect(admission.admitClient(far, runtime, FD)).toBeUndefined();
    expect(admission.connections).toBe(1);
  });

  test("refuses when the process has few descriptors left, or not enough for another target", () => {
    const runtime = makeRuntime();
    const few: Descriptors = { judge: () => "few", allowsConnections: () => true };
    const short: Descriptors = { judge: () => "enough", allowsConnections: (count) => count < 2 };
    expect(new Admission(few).admitClient(near, runtime, FD)?.detail).toBe("out_of_resources");
    const admission = new Admission(short);
    expect(admission.admitClient(near, runtime, FD)).toBeUndefined();
    expect(admission.admitClient(near, runtime, FD)).toEqual({ detail: "out_of_resources", note: "EMFILE" });
  });

  test("takes the slot of a connection that only lingers, and only of one that holds such a slot", () => {
    const runtime = makeRuntime({ perClient: { connections: 1 }, perUser: { connections: 1 } });
    const admission = new Admission(plentyOfDescriptors);
    const conn = new MemoryConn();
    expect(admission.admitClient(near, runtime, FD)).toBeUndefined();
    expect(admission.admitUser("ann", runtime)).toBeUndefined();
    admission.lingering.close(conn, { client: near, user: "ann", runtime }, 60_000, () => {
      admission.leaveUser("ann", runtime);
      admission.leaveClient(near, runtime);
    });
    expect(admission.admitClient(far, runtime, FD)).toBeUndefined();
    expect(conn.state).toBe("fin");
    expect(admission.admitUser("ann", runtime)).toBeUndefined();
    expect([conn.state, admission.lingering.size]).toEqual(["closed", 0]);
    expect(admission.admitClient(near, runtime, FD)).toBeUndefined();
    expect(admission.admitClient(near, runtime, FD)?.detail).toBe("too_many_connections");
  });
});
