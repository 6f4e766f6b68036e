import { describe, expect, test } from "bun:test";
import { startExecutable } from "../support/executable.ts";
import { needs } from "../support/needs.ts";
import { runProgram } from "../support/program.ts";
import { startSmtpServer } from "../support/smtp-server.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { startTlsOrigin } from "../support/tls-origin.ts";

const base = {
  listen: ["127.0.0.1:0"],
  users: [{ name: "ann", password: "s3cret" }],
  rules: [{ to: ["127.0.0.1"], allowPrivate: true }],
};

needs("curl")("curl sends a mail through a tunnel to a server that speaks first", async () => {
  using mail = startSmtpServer();
  await using folder = await makeFolder({ "proxy.config.json": base });
  await using proxy = await startExecutable({ cwd: folder.path });
  const ran = await runProgram(
    [
      ["curl", "-sS", "-x", `http://127.0.0.1:${proxy.port}`, "-U", "ann:s3cret", "-p"],
      ["--mail-from", "ann@example.com", "--mail-rcpt", "ben@example.com", "-T", "-"],
      `smtp://127.0.0.1:${mail.port}/mail.test`,
    ],
    { input: "Subject: hello\r\n\r\nThrough the tunnel.\r\n" },
  );
  expect(ran).toMatchObject({ code: 0, stderr: "" });
  expect(mail.mails).toEqual(["Subject: hello\n\nThrough the tunnel."]);
});

test("a WebSocket of Bun gets through a tunnel, both ways and to a clean close", async () => {
  using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, self) => (self.upgrade(request) ? undefined : new Response("no", { status: 400 })),
    websocket: { message: (socket, message) => void socket.send(message) },
  });
  await using folder = await makeFolder({ "proxy.config.json": base });
  await using proxy = await startExecutable({ cwd: folder.path });
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/`, {
    proxy: `http://ann:s3cret@127.0.0.1:${proxy.port}`,
  });
  socket.binaryType = "arraybuffer";
  const sent = crypto.getRandomValues(new Uint8Array(60_000));
  const received = Promise.withResolvers<ArrayBuffer>();
  const closed = Promise.withResolvers<number>();
  socket.addEventListener("open", () => socket.send(sent));
  socket.addEventListener("message", ({ data }) => received.resolve(data as ArrayBuffer));
  socket.addEventListener("error", () => received.reject(new Error("The WebSocket failed")));
  socket.addEventListener("close", ({ code }) => closed.resolve(code));
  expect(new Uint8Array(await received.promise)).toEqual(sent);
  socket.close(1000);
  expect(await closed.promise).toBe(1000);
  expect(await proxy.record()).toMatchObject({ user: "ann", method: "CONNECT", end: "closed" });
});

describe("curl with Digest", () => {
  const cases = [
    { schemes: ["digest"], flag: "--proxy-digest", password: "s3cret", works: true },
    { schemes: ["digest"], flag: "--proxy-anyauth", password: "s3cret", works: true },
    { schemes: ["basic", "digest"], flag: "--proxy-digest", password: "s3cret", works: true },
    { schemes: ["basic", "digest"], flag: "--proxy-basic", password: "s3cret", works: true },
    { schemes: ["digest"], flag: "--proxy-digest", password: "guessed", works: false },
    { schemes: ["digest"], flag: "--proxy-basic", password: "s3cret", works: false },
    { schemes: ["basic"], flag: "--proxy-digest", password: "s3cret", works: false },
  ];
  for (const { schemes, flag, password, works } of cases) {
    const outcome = works ? "gets through" : "gets nowhere";
    needs(
      "curl",
      "node",
      "openssl",
    )(
      `${outcome} with ${flag} and ${password === "guessed" ? "a wrong" : "the"} password where ${schemes.join(" and ")} will do`,
      async () => {
        await using origin = await startTlsOrigin();
        await using folder = await makeFolder({ "proxy.config.json": { ...base, auth: { schemes } } });
        await using proxy = await startExecutable({ cwd: folder.path });
        const ran = await runProgram([
          ["curl", "-sS", "--fail", "--cacert", origin.caFile, "-x", `http://127.0.0.1:${proxy.port}`],
          [flag, "-U", `ann:${password}`, `${origin.url}/hello`],
        ]);
        expect({ works: ran.code === 0, stdout: ran.stdout }).toEqual({
          works,
          stdout: works ? "hello from the origin\n" : "",
        });
        // Digest asks for the challenge first, so the last record tells.
        const last = (record: Record<string, unknown>) => record["status"] === (works ? 200 : 407);
        expect(await proxy.record(last)).toMatchObject(works ? { user: "ann" } : { stage: "authenticate" });
      },
    );
  }
});
