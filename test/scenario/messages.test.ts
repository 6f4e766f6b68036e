import { describe, expect, test } from "bun:test";
import { closeSync, fstatSync, openSync } from "node:fs";
import { join } from "node:path";
import { runCli } from "../../src/cli/run-cli.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { serveHttp } from "../support/http-origin.ts";
import { basic, startProxy } from "../support/proxy.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const main = new URL("../../src/main.ts", import.meta.url).pathname;
const faulty = { "proxy.config.json": { listen: ["127.0.0.1:0"], timeouts: { idle: "soon" } } };

describe("messages on standard error", () => {
  test.each([
    ["with time and level", () => "none", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z error Cannot use .*:$/],
    ["as before where the variable names another stream", () => "1:2", /^\d{4}-.*Z error Cannot use .*:$/],
    ["with the priority alone where the journal reads them", (own: string) => own, /^<3>Cannot use .*:$/],
  ])("begin %s", async (_, choose, expected) => {
    await using folder = await makeFolder(faulty);
    const fd = openSync(join(folder.path, "err"), "w");
    const { dev, ino } = fstatSync(fd);
    const child = Bun.spawn([process.execPath, main, "serve"], {
      cwd: folder.path,
      env: { ...process.env, JOURNAL_STREAM: choose(`${dev}:${ino}`) },
      stdout: "ignore",
      stderr: fd,
    });
    expect(await child.exited).toBe(78);
    closeSync(fd);
    const [first, second] = (await folder.read("err")).split("\n");
    expect(first).toMatch(expected);
    // Each line of a message has them.
    expect(second).toContain(first?.startsWith("<3>") === true ? "<3>  " : "Z error   ");
  });

  test("matter as much as log.level says, from a reload on as the new one does", async () => {
    const config = (level: string) => ({ listen: ["127.0.0.1:0"], sidecar: { port: 0 }, log: { level } });
    await using folder = await makeFolder({ "proxy.config.json": config("info") });
    const io = createFakeIo({ folder: folder.path });
    const running = runCli(["serve"], io);
    await io.untilTold("Splicing");
    await folder.write({ "proxy.config.json": config("error") });
    io.signal("SIGHUP");
    await io.untilTold("Reloaded.");
    await io.untilTold('log.level: "info" → "error"');
    const before = io.told.length;
    io.signal("SIGTERM");
    expect(await running).toBe(0);
    expect(io.told.slice(before)).toEqual([]);
  });
});

describe("log.level: debug", () => {
  test("traces the requests of one user, from accept to the end, without secrets", async () => {
    using origin = serveHttp(() => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    const users = ["alice", "bob"].map((name) => ({ name, password: `pw-of-${name}` }));
    await using proxy = await startProxy({ users, log: { level: "debug", debug: { user: "alice" } } });
    const ask = (user: string, password: string) =>
      proxy.exchange(
        `GET ${origin.uri("/path?token=t0ken")} HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\nProxy-Authorization: ${basic(user, password)["Proxy-Authorization"]}\r\nConnection: close\r\n\r\n`,
      );
    expect(await ask("alice", "pw-of-alice")).toContain(" 200 ");
    expect(await ask("bob", "pw-of-bob")).toContain(" 200 ");
    expect(await ask("alice", "wr0ng")).toContain(" 407 ");
    await proxy.record(2);
    const [first, , third] = proxy.records;
    const traced = proxy.messages.filter((message) => message.startsWith("["));
    const of = (id: unknown) =>
      traced.filter((line) => line.startsWith(`[${String(id)}] `)).map((line) => line.split(" ")[2]);
    expect(of(first?.["id"])).toEqual([
      "accept",
      "handshake",
      "authenticate",
      "request",
      "decide",
      "route",
      "dial",
      "over",
    ]);
    expect(of(third?.["id"])).toEqual(["over"]);
    expect(traced.at(-1)).toContain("407 credentials_wrong");
    expect(of(first?.["id"]).length + 1).toBe(traced.length);
    expect(proxy.messages.join("\n")).not.toMatch(/pw-of|wr0ng|t0ken|path|Basic/);
    await proxy.reload({ users });
    await ask("alice", "pw-of-alice");
    await proxy.record(3);
    expect(proxy.messages.filter((message) => message.startsWith("[")).length).toBe(traced.length);
  });
});
