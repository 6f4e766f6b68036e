import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { runCli } from "../../src/cli/run-cli.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { needs } from "../support/needs.ts";
import { expectProgram } from "../support/program.ts";
import { startProxy, type TestProxy, waitFor } from "../support/proxy.ts";
import { listenRaw } from "../support/raw-peer.ts";
import { joinStream, readCapture } from "../support/read-capture.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const authorized = { Authorization: "Bearer scenario-token" };

function sidecarOf(proxy: TestProxy, path: string): string {
  return `http://127.0.0.1:${proxy.daemon.sidecar?.port}${path}`;
}

/** A capture that is read all the time. */
async function startCapture(proxy: TestProxy, query = "") {
  const response = await fetch(sidecarOf(proxy, `/capture${query}`), { headers: authorized });
  expect(response.status).toBe(200);
  const id = response.headers.get("Capture-Id") ?? "";
  const file = response.bytes();
  return {
    /** Ends it in order and gives what was read. */
    async finish() {
      const ended = await fetch(sidecarOf(proxy, `/capture/${id}`), { method: "DELETE", headers: authorized });
      expect(ended.status).toBe(204);
      return file;
    },
  };
}

/** Sends a question through a tunnel, gets the answer, and ends in order. */
async function converse(proxy: TestProxy, question: string, answer: string) {
  using server = listenRaw();
  const { peer } = await proxy.tunnel(`127.0.0.1:${server.port}`);
  const clientPort = peer.socket.localPort;
  const target = await server.next();
  peer.write(question);
  await target.untilText(question);
  target.write(answer);
  await peer.untilText(answer);
  peer.finish();
  await target.untilEnd();
  target.finish();
  await peer.untilEnd();
  return { clientPort, targetPort: server.port };
}

describe("GET /capture", () => {
  test("streams what passes through a tunnel, both legs, byte by byte", async () => {
    await using proxy = await startProxy();
    const capture = await startCapture(proxy, "?legs=both");
    const { clientPort, targetPort } = await converse(proxy, "a question", "an answer");
    await proxy.record();
    const { packets, statistics, interfaces } = readCapture(await capture.finish());
    expect(interfaces.map(({ name }) => name)).toEqual(["client", "target"]);
    expect(joinStream(packets, clientPort, proxy.port)?.toString()).toBe("a question");
    expect(joinStream(packets, proxy.port, clientPort)?.toString()).toBe("an answer");
    const dialledFrom = Number(
      packets
        .find(({ to }) => to.endsWith(`:${targetPort}`))
        ?.from.split(":")
        .at(-1),
    );
    expect(joinStream(packets, dialledFrom, targetPort)?.toString()).toBe("a question");
    expect(joinStream(packets, targetPort, dialledFrom)?.toString()).toBe("an answer");
    expect(statistics.map(({ dropped, ended }) => [dropped, ended])).toEqual([
      [0n, true],
      [0n, true],
    ]);
  });

  test("brings a tunnel back that the kernel carries already", async () => {
    await using proxy = await startProxy({ spliceAfter: "1B" });
    await proxy.daemon.lanes?.warm();
    using server = listenRaw();
    const { peer } = await proxy.tunnel(`127.0.0.1:${server.port}`);
    const target = await server.next();
    peer.write("unseen ");
    await target.untilText("unseen ");
    await waitFor(() => proxy.daemon.lanes?.status().tunnels === 1, "the lane");
    const capture = await startCapture(proxy);
    await waitFor(() => proxy.daemon.lanes?.status().tunnels === 0, "the return");
    peer.write("seen");
    await target.untilText("unseen seen");
    const clientPort = peer.socket.localPort;
    peer.finish();
    await target.untilEnd();
    target.finish();
    expect(await proxy.record()).toMatchObject({ end: "closed", bytes_up: 11 });
    const { packets } = readCapture(await capture.finish());
    expect(joinStream(packets, clientPort, proxy.port)?.toString()).toBe("seen");
  });

  test("leaves out tunnels that do not match", async () => {
    await using proxy = await startProxy();
    const capture = await startCapture(proxy, "?host=*.example.org");
    await converse(proxy, "a question", "an answer");
    await proxy.record();
    expect(readCapture(await capture.finish()).packets).toEqual([]);
  });

  test("joins a tunnel under way by its id", async () => {
    await using proxy = await startProxy();
    using server = listenRaw();
    const { peer } = await proxy.tunnel(`127.0.0.1:${server.port}`);
    const target = await server.next();
    peer.write("before");
    await target.untilText("before");
    const { tunnels } = (await (await fetch(sidecarOf(proxy, "/tunnels"), { headers: authorized })).json()) as {
      tunnels: { id: string }[];
    };
    const capture = await startCapture(proxy, `?id=${tunnels[0]?.id}`);
    peer.write("during");
    await target.untilText("during");
    const { packets } = readCapture(await capture.finish());
    expect(packets[0]?.comment).toBe(`tunnel ${tunnels[0]?.id}, 6 bytes had passed before the capture`);
    expect(joinStream(packets, peer.socket.localPort, proxy.port)?.toString()).toBe("during");
  });

  test("keeps a tunnel in the relay, and lets it go when it is over", async () => {
    await using proxy = await startProxy({ spliceAfter: "64KiB" });
    if (!(await proxy.metrics()).includes("\npenstock_splice_available 1\n")) return;
    const capture = await startCapture(proxy);
    using server = listenRaw();
    const { peer } = await proxy.tunnel(`127.0.0.1:${server.port}`);
    const target = await server.next();
    const send = async (bytes: number) => {
      const wanted = target.receivedBytes + bytes;
      peer.write(new Uint8Array(bytes));
      await target.until(({ receivedBytes }) => receivedBytes === wanted);
    };
    await send(1_000_000);
    expect(await proxy.metrics()).toContain("\npenstock_splice_tunnels 0\n");
    const { packets } = readCapture(await capture.finish());
    expect(joinStream(packets, peer.socket.localPort, proxy.port)).toHaveLength(1_000_000);
    const deadline = performance.now() + 60_000;
    while (!(await proxy.metrics()).includes("\npenstock_splice_tunnels 1\n")) {
      expect(performance.now()).toBeLessThan(deadline);
      await send(100_000);
    }
  });

  test("never makes a tunnel wait for a reader that does not read", async () => {
    await using proxy = await startProxy();
    const response = await fetch(sidecarOf(proxy, "/capture"), { headers: authorized });
    using server = listenRaw();
    const { peer } = await proxy.tunnel(`127.0.0.1:${server.port}`);
    const target = await server.next();
    let received = 0;
    target.consume = (chunk) => (received += chunk.length);
    const piece = new Uint8Array(1 << 20);
    const pieces = 64;
    for (let sent = 1; sent <= pieces; sent += 1) {
      peer.write(piece);
      await target.until(() => received === sent * piece.length);
    }
    await fetch(sidecarOf(proxy, `/capture/${response.headers.get("Capture-Id")}`), {
      method: "DELETE",
      headers: authorized,
    });
    const { packets, statistics } = readCapture(await response.bytes());
    const [counts] = statistics;
    expect(counts?.dropped).toBeGreaterThan(0n);
    expect(counts?.received).toBe(BigInt(packets.length) + (counts?.dropped ?? 0n));
    // What waits is bounded: 16 MiB of ours, and what the sockets between us and the reader hold.
    const kept = packets.reduce((sum, { payload }) => sum + payload.length, 0);
    expect(kept).toBeLessThan(40 << 20);
  });

  test("ends with its reader, and makes room for another one", async () => {
    await using proxy = await startProxy();
    const readers = Array.from({ length: 4 }, () => new AbortController());
    const ask = (signal?: AbortSignal) =>
      fetch(sidecarOf(proxy, "/capture"), { headers: authorized, ...(signal && { signal }) });
    const open = await Promise.all(readers.map(({ signal }) => ask(signal)));
    expect(open.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const refused = await ask();
    expect(refused.status).toBe(429);
    for (const reader of readers) reader.abort();
    let next = await ask();
    while (next.status === 429) next = await ask();
    expect(next.status).toBe(200);
    await next.body?.cancel();
  });

  test("ends in order when the proxy stops", async () => {
    const proxy = await startProxy();
    const response = await fetch(sidecarOf(proxy, "/capture"), { headers: authorized });
    const file = response.bytes();
    await proxy[Symbol.asyncDispose]();
    expect(readCapture(await file).statistics).toEqual([{ received: 0n, dropped: 0n, ended: true }]);
  });

  test("is for holders of the token only, and does not exist without one", async () => {
    await using proxy = await startProxy();
    expect((await fetch(sidecarOf(proxy, "/capture"))).status).toBe(401);
    await using open = await startProxy({ sidecar: { port: 0 } });
    expect((await fetch(sidecarOf(open, "/capture"), { headers: authorized })).status).toBe(403);
  });
});

describe("penstock capture", () => {
  needs("tshark", "capinfos")("writes a file that Wireshark opens without a warning", async () => {
    await using proxy = await startProxy();
    await using folder = await makeFolder();
    const io = createFakeIo({ folder: folder.path, variables: { PENSTOCK_SIDECAR_TOKEN: "scenario-token" } });
    const sidecar = `http://127.0.0.1:${proxy.daemon.sidecar?.port}`;
    const ended = runCli(["capture", "--sidecar", sidecar, "--legs=both", "-o", "tunnels.pcapng"], io);
    await io.untilTold("Capturing");
    const question = "question ".repeat(10_000);
    const { clientPort } = await converse(proxy, question, "an answer");
    await proxy.record();
    io.signal("SIGINT");
    expect(await ended).toBe(0);
    expect(io.told.at(-1)).toMatch(/^\d+ packets\.$/);

    const file = join(folder.path, "tunnels.pcapng");
    const summary = await expectProgram(["capinfos", file]);
    expect(summary).toContain("Capture application: Penstock");
    expect(summary).toContain("Number of interfaces in file: 2");
    const warnings = await expectProgram(["tshark", "-r", file, "-q", "-z", "expert,warn"]);
    expect(warnings).not.toContain("Warns");
    expect(warnings).not.toContain("Errors");
    const port = `tcp.port == ${clientPort}`;
    const streams = await expectProgram(["tshark", "-r", file, "-Y", port, "-T", "fields", "-e", "tcp.stream"]);
    const stream = streams.split("\n")[0] ?? "";
    const followed = await expectProgram(["tshark", "-r", file, "-q", "-z", `follow,tcp,raw,${stream}`]);
    const sent = followed.split("\n").filter((line) => /^[0-9a-f]+$/.test(line));
    expect(Buffer.from(sent.join(""), "hex").toString()).toBe(question);
    const answered = followed.split("\n").filter((line) => /^\t[0-9a-f]+$/.test(line));
    expect(Buffer.from(answered.join("").replaceAll("\t", ""), "hex").toString()).toBe("an answer");
  });

  test("leaves at the second signal", async () => {
    await using proxy = await startProxy();
    await using folder = await makeFolder();
    const io = createFakeIo({ folder: folder.path, variables: { PENSTOCK_SIDECAR_TOKEN: "scenario-token" } });
    const sidecar = `http://127.0.0.1:${proxy.daemon.sidecar?.port}`;
    const ended = runCli(["capture", "--sidecar", sidecar, "-o", "x.pcapng"], io);
    await io.untilTold("Capturing");
    io.signal("SIGINT");
    io.signal("SIGINT");
    expect(await ended).toBe(0);
    expect(readCapture(await Bun.file(join(folder.path, "x.pcapng")).bytes()).interfaces).toHaveLength(1);
  });

  test("does not write over a file, unless it is forced to", async () => {
    await using proxy = await startProxy();
    await using folder = await makeFolder({ "x.pcapng": "old" });
    const io = createFakeIo({ folder: folder.path, variables: { PENSTOCK_SIDECAR_TOKEN: "scenario-token" } });
    const args = ["capture", "--sidecar", `http://127.0.0.1:${proxy.daemon.sidecar?.port}`, "-o", "x.pcapng"];
    expect(await runCli(args, io)).toBe(1);
    expect(io.told).toEqual([expect.stringContaining("x.pcapng: it is there already. Choose another name, or")]);
    expect(await folder.read("x.pcapng")).toBe("old");
    const ended = runCli([...args, "--force"], io);
    await io.untilTold("Capturing");
    io.signal("SIGINT");
    expect(await ended).toBe(0);
    expect(readCapture(await Bun.file(join(folder.path, "x.pcapng")).bytes()).interfaces).toHaveLength(1);
  });

  test("tells why it cannot", async () => {
    await using proxy = await startProxy();
    const sidecar = `http://127.0.0.1:${proxy.daemon.sidecar?.port}`;
    const run = async (...args: string[]) => {
      const io = createFakeIo();
      const code = await runCli(["capture", "-o", "/nonexistent/x.pcapng", ...args], io);
      return [code, io.told[0]];
    };
    expect(await run("--sidecar", sidecar)).toEqual([
      2,
      "Missing the token of the sidecar. Set PENSTOCK_SIDECAR_TOKEN.",
    ]);
    expect(await run("--sidecar", sidecar, "--token=x")).toEqual([
      1,
      "The sidecar refused (401): The bearer token is wrong.",
    ]);
    expect(await run("--sidecar", sidecar, "--token=scenario-token", "--legs=all")).toEqual([
      2,
      "The sidecar refused (400): legs must be one of client, target, both.",
    ]);
    expect(await run("--sidecar", sidecar, "--token=scenario-token")).toEqual([
      1,
      "Cannot write /nonexistent/x.pcapng: there is no such folder.",
    ]);
    const [code, told] = await run("--sidecar=unix:/nonexistent/socket", "--token=x");
    expect([code, told]).toEqual([1, expect.stringContaining("Cannot reach the sidecar at /nonexistent/socket: ")]);
    expect(await waitFor(() => proxy.daemon.sidecar, "the sidecar")).toBeDefined();
  });
});
