import { drainMicrotasks } from "bun:jsc";
import { describe, expect, test } from "bun:test";
import { serveConnection } from "../../../../src/proxy/connection.ts";
import { compileForTest } from "../../../support/compile-for-test.ts";
import { makeGate, plainListener } from "../../../support/make-gate.ts";
import { makeIp } from "../../../support/make-policy.ts";
import { MemoryConn } from "../../../support/memory-conn.ts";

const AUTHORITY = "127.0.0.1:9";
const GET = `GET http://${AUTHORITY}/ HTTP/1.1\r\nHost: ${AUTHORITY}\r\n\r\n`;
const HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";

/** A client whose requests go to one origin, over a connection that is kept. */
function openStand() {
  const { runtime } = compileForTest({
    listen: ["127.0.0.1:0"],
    rules: [{ to: ["127.0.0.0/8"], allowPrivate: true }],
    forward: { via: "us" },
  });
  const gate = makeGate(runtime);
  const ip = makeIp("127.0.0.1");
  const origin = new MemoryConn();
  const client = new MemoryConn();
  gate.forwarding.origins.put(
    { conn: origin, address: { ip, port: 9 }, ip, reused: true },
    { key: `http ${AUTHORITY} private`, idleMs: 60_000, total: 9, perKey: 9 },
  );
  void serveConnection(client, ip, plainListener, gate);
  const tell = (act: () => void): void => {
    act();
    drainMicrotasks();
  };
  return { gate, client, origin, tell };
}

describe("the requests of a client", () => {
  test.each([
    ["the first one", 0],
    ["one like the one before", 1],
  ])("end with the response that is under way when the proxy drains: %s", (_which, earlier) => {
    const { gate, client, origin, tell } = openStand();
    for (let index = 0; index < earlier; index++) {
      tell(() => client.say(GET));
      tell(() => origin.say(`${HEAD}body`));
    }
    tell(() => client.say(GET));
    tell(() => origin.say(`${HEAD}bo`));
    tell(() => {
      gate.draining = true;
      gate.forwarding.windDown();
    });
    expect(client.state).toBe("open");
    tell(() => origin.say("dy"));
    expect(client.text).toEndWith("\r\n\r\nbody");
    expect(client.closed).toBe(true);
  });

  test("are told by the head of a response that begins while the proxy drains that no other one follows", () => {
    const { gate, client, origin, tell } = openStand();
    tell(() => client.say(GET));
    tell(() => {
      gate.draining = true;
      gate.forwarding.windDown();
    });
    tell(() => origin.say(`${HEAD}body`));
    expect(client.text).toContain("\r\nConnection: close\r\n");
    // It may still be sending.
    expect(client.state).toBe("fin");
  });

  test("are carried out one after the other by one connection to the origin", () => {
    const { client, origin, tell } = openStand();
    for (const word of ["one!", "two!", "more"]) {
      client.text = "";
      origin.text = "";
      tell(() => client.say(GET));
      expect(origin.text).toBe(`GET / HTTP/1.1\r\nHost: ${AUTHORITY}\r\nVia: 1.1 us\r\n\r\n`);
      tell(() => origin.say(HEAD + word));
      expect(client.text).toEndWith(`\r\n\r\n${word}`);
    }
    expect(client.state).toBe("open");
  });

  test.each([
    ["white space after a value", "A: b \t ", "A: b"],
    ["no space before a value", "A:b", "A: b"],
    ["a tab before a value", "A:\tb", "A: b"],
    ["two spaces before a value", "A:  b", "A: b"],
    ["white space for a value", "A: \t", "A: "],
    ["no value", "A:", "A:"],
  ])("have one space before each value and none after it when they go on, also by a plan: %s", (_, line, sent) => {
    const { client, origin, tell } = openStand();
    for (let index = 0; index < 3; index++) {
      origin.text = "";
      tell(() => client.say(GET.replace("\r\n\r\n", `\r\n${line}\r\nB: c\r\n\r\n`)));
      expect(origin.text).toBe(`GET / HTTP/1.1\r\nHost: ${AUTHORITY}\r\n${sent}\r\nB: c\r\nVia: 1.1 us\r\n\r\n`);
      tell(() => origin.say(`${HEAD}body`));
    }
  });

  test("get the fields of a response with one space before each value and none after it", () => {
    const { client, origin, tell } = openStand();
    tell(() => client.say(GET));
    tell(() => origin.say("HTTP/1.1 200 OK\r\nContent-Length:4 \r\nX:\t y\t\r\n\r\nbody"));
    expect(client.text).toContain("\r\nContent-Length: 4\r\nX: y\r\n");
  });
});
