import { describe, expect, test } from "bun:test";
import { AddressSet } from "../../../../src/address/address-set.ts";
import { RequestTracer, type TraceFilter } from "../../../../src/proxy/record/request-tracer.ts";
import { RequestRecord, STAGES } from "../../../../src/proxy/record/request-record.ts";
import type { Runtime } from "../../../../src/proxy/runtime.ts";
import { readCidrs } from "../../../../src/config/fields.ts";
import { makeIp } from "../../../support/make-policy.ts";

interface Case {
  readonly user?: string;
  readonly client?: string;
}

/** Has a request pass all stages of a tunnel, and gives what was told without times. */
function trace(filter: TraceFilter, { user = "alice", client = "10.0.0.9" }: Case, perSecond = 100): string[] {
  const told: string[] = [];
  const tracer = new RequestTracer(filter, (message, level) => void told.push(`${level}: ${message}`), {
    perSecond,
    clock: () => 0,
  });
  const connection = {
    client: makeIp(client),
    clientPort: 50_123,
    certificate: undefined,
    listener: { name: "127.0.0.1:8080" },
    services: { ids: { next: () => 1, format: () => "id" }, tracer },
  };
  const record = new RequestRecord(connection, {} as Runtime);
  for (const stage of STAGES.slice(1, -1)) {
    if (stage === "request") record.user = user;
    record.enter(stage);
  }
  record.status = 200;
  record.tunnel = { end: "closed", bytesUp: 1000, bytesDown: 2000 };
  tracer.finished(record, record.acceptedAt + 12);
  return told.map((line) => line.replace(/ took [0-9.]+ ms/, ""));
}

describe("RequestTracer", () => {
  test("tells each stage as it ends, and what came of the request", () => {
    const lines = trace({}, {});
    expect(lines).toEqual([
      "debug: [id] 10.0.0.9:50123 accept: on 127.0.0.1:8080",
      "debug: [id] 10.0.0.9:50123 handshake",
      'debug: [id] 10.0.0.9:50123 authenticate: user "alice"',
      "debug: [id] 10.0.0.9:50123 request",
      "debug: [id] 10.0.0.9:50123 decide",
      "debug: [id] 10.0.0.9:50123 route",
      "debug: [id] 10.0.0.9:50123 dial",
      "debug: [id] 10.0.0.9:50123 respond",
      "debug: [id] 10.0.0.9:50123 over in stage tunnel after 12 ms: 200 1.0 kB↑ 2.0 kB↓ closed",
    ]);
  });

  test("tells the stages before the user was known as soon as it is one that is wanted", () => {
    expect(trace({ user: "alice" }, {})).toEqual(trace({}, {}));
    expect(trace({ user: "bob" }, {})).toEqual([]);
  });

  test("tells those of wanted clients, and with a user as well only those that are both", () => {
    const clients = new AddressSet(readCidrs(["10.0.0.0/8"]));
    expect(trace({ clients }, {})).toHaveLength(9);
    expect(trace({ clients }, { client: "192.0.2.1" })).toEqual([]);
    expect(trace({ clients, user: "alice" }, { client: "192.0.2.1" })).toEqual([]);
    expect(trace({ clients, user: "alice" }, {})).toHaveLength(9);
  });

  test("tells only so many lines in a second, and quotes what clients make up", () => {
    expect(trace({}, {}, 3)).toHaveLength(3);
    const [, , line = ""] = trace({}, { user: 'a" (rule x)\n' });
    expect(line).toEndWith('authenticate: user "a\\" (rule x)\\n"');
  });
});
