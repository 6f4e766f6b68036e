import { afterEach, describe, expect, test } from "bun:test";
import { createAskServers, type NameAnswer } from "../../src/net/dns/ask-servers.ts";
import { parseResolvConf } from "../../src/net/dns/resolv-conf.ts";
import { TYPE_A } from "../../src/protocol/dns/message.ts";
import { NameServer } from "../support/name-server.ts";
import { waitFor } from "../support/wait-for.ts";

const many = Array.from({ length: 40 }, (_, at) => `192.0.2.${at + 1}`);

let servers: NameServer[] = [];
afterEach(() => {
  for (const server of servers) server[Symbol.dispose]();
  servers = [];
});

/** Name servers on one port of several addresses of this machine; `options` are those of resolv.conf. */
async function startServers(count: number, options = "timeout:1 attempts:1") {
  const first = await startOnOnePort(count);
  const lines = servers.map((_, at) => `nameserver 127.0.0.${at + 1}\n`).join("");
  const conf = parseResolvConf(`${lines}options ${options}\n`, "");
  const ask = createAskServers(first.port);
  return (name: string) =>
    new Promise<NameAnswer>((resolve) => {
      ask({ name, type: TYPE_A }, conf, resolve);
    });
}

/** The port that is free on one address may be taken on another: then it is another port. */
async function startOnOnePort(count: number): Promise<NameServer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const first = await NameServer.start("127.0.0.1");
      servers.push(first);
      for (let at = 2; at <= count; at += 1) servers.push(await NameServer.start(`127.0.0.${at}`, first.port));
      return first;
    } catch (error) {
      for (const server of servers) server[Symbol.dispose]();
      servers = [];
      if (attempt === 20) throw error;
    }
  }
}

describe("createAskServers()", () => {
  test("gives addresses with their TTL, and tells a name without any from one that does not exist", async () => {
    const ask = await startServers(1);
    const [server] = servers as [NameServer];
    server.zone = { "a.test": { a: ["192.0.2.1", "192.0.2.2"] }, "b.test": { aaaa: ["2001:db8::1"] } };
    expect(await ask("a.test")).toEqual({
      kind: "found",
      addresses: [Uint8Array.of(192, 0, 2, 1), Uint8Array.of(192, 0, 2, 2)],
      ttl: 30,
    });
    expect(await ask("b.test")).toEqual({ kind: "no_data" });
    expect(await ask("c.test")).toEqual({ kind: "no_name" });
  });

  test("asks over TCP for what does not fit", async () => {
    const ask = await startServers(1);
    const [server] = servers as [NameServer];
    server.zone = { "a.test": { a: { tooLong: many } } };
    const answer = await ask("a.test");
    expect(answer.kind === "found" ? answer.addresses.length : 0).toBe(40);
    expect(server.asked).toHaveLength(2);
  });

  test("asks over TCP alone where resolv.conf says so", async () => {
    const ask = await startServers(1, "use-vc");
    const [server] = servers as [NameServer];
    server.zone = { "a.test": { a: { tooLong: many } } };
    expect((await ask("a.test")).kind).toBe("found");
    expect(server.asked).toHaveLength(1);
  });

  test("asks the next server when one fails, refuses or is silent, and not when one is sure", async () => {
    const ask = await startServers(2);
    const [first, second] = servers as [NameServer, NameServer];
    second.zone = { "*": { a: ["192.0.2.2"] } };
    first.zone = {
      "fails.test": { a: "server_failure" },
      "refuses.test": { a: "refused" },
      "silent.test": { a: "silent" },
    };
    for (const name of ["fails.test", "refuses.test", "silent.test"]) expect((await ask(name)).kind).toBe("found");
    expect(await ask("sure.test")).toEqual({ kind: "no_name" });
  });

  test("asks again when a datagram is lost", async () => {
    const ask = await startServers(1, "timeout:5 attempts:2");
    const [server] = servers as [NameServer];
    server.zone = { "*": { a: "silent" } };
    const answer = ask("a.test");
    await waitFor(() => server.asked.length > 0, "the first question");
    server.zone = { "*": { a: ["192.0.2.1"] } };
    expect((await answer).kind).toBe("found");
    expect(server.asked).toHaveLength(2);
  });

  test("tells what went wrong when no server knows", async () => {
    const ask = await startServers(1);
    const [server] = servers as [NameServer];
    server.zone = { "fails.test": { a: "server_failure" }, "silent.test": { a: "silent" } };
    expect(await ask("fails.test")).toEqual({ kind: "trouble", note: "ESERVFAIL" });
    expect(await ask("silent.test")).toEqual({ kind: "trouble", note: "ETIMEOUT" });
    server[Symbol.dispose]();
    expect(await ask("gone.test")).toEqual({ kind: "trouble", note: "ECONNREFUSED" });
  });

  test("begins with each server in turn where resolv.conf says so", async () => {
    const ask = await startServers(2, "rotate");
    const [first, second] = servers as [NameServer, NameServer];
    for (const server of servers) server.zone = { "*": { a: ["192.0.2.1"] } };
    for (let at = 0; at < 4; at += 1) await ask(`n${at}.test`);
    expect([first.asked.length, second.asked.length]).toEqual([2, 2]);
  });

  test("says nothing any more when the question is given up", async () => {
    await startServers(1);
    const [server] = servers as [NameServer];
    server.zone = { "*": { a: ["192.0.2.1"] } };
    const heard: NameAnswer[] = [];
    const conf = parseResolvConf("nameserver 127.0.0.1\n", "");
    const giveUp = createAskServers(server.port)({ name: "a.test", type: TYPE_A }, conf, (answer) =>
      heard.push(answer),
    );
    giveUp();
    await new Promise<void>((resolve) => {
      createAskServers(server.port)({ name: "b.test", type: TYPE_A }, conf, () => resolve());
    });
    expect(heard).toEqual([]);
  });
});
