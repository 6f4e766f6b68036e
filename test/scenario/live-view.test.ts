import { describe, expect, test } from "bun:test";
import { ServerSentEvents } from "../../src/protocol/server-sent-events.ts";
import { liveState, liveTick } from "../../src/sidecar/live.ts";
import { seriesAnswer } from "../../src/sidecar/series.ts";
import { statusAnswer } from "../../src/sidecar/status.ts";
import { tunnelDetails } from "../../src/sidecar/tunnel-details.ts";
import { tunnelsAnswer } from "../../src/sidecar/tunnel-row.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { basic, startProxy, type TestProxy } from "../support/proxy.ts";
import { connectRaw, listenEcho, listenRaw } from "../support/raw-peer.ts";
import { listenReplay, replayClient } from "../support/replay-peers.ts";
import { waitFor } from "../support/wait-for.ts";

async function readStatus(proxy: TestProxy) {
  return statusAnswer.strict().parse(await (await proxy.ask("/status")).json());
}

async function readSeries(proxy: TestProxy) {
  return seriesAnswer.strict().parse(await (await proxy.ask("/series?span=15m")).json());
}

async function readTunnels(proxy: TestProxy) {
  return tunnelsAnswer.parse(await (await proxy.ask("/tunnels")).json()).tunnels;
}

async function readDetails(proxy: TestProxy, id = "") {
  return tunnelDetails.strict().parse(await (await proxy.ask(`/tunnels/${id}`)).json());
}

/** The sum of the series of a family, of those with a label. */
function sumMetric(text: string, name: string, label = ""): number {
  const lines = text.split("\n").filter((line) => new RegExp(`^${name}[{ ]`).test(line) && line.includes(label));
  return lines.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

const sum = (values: readonly (number | null)[]) => values.reduce<number>((total, value) => total + (value ?? 0), 0);

/** Waits until the series has seconds after what has happened so far. */
async function untilCounted(proxy: TestProxy) {
  const { last } = await readSeries(proxy);
  return waitFor(async () => {
    const series = await readSeries(proxy);
    return series.last > last ? series : undefined;
  }, "another second");
}

/** Sends a CONNECT through SOCKS5 without a login. */
async function openSocks(proxy: TestProxy, port: number) {
  const peer = await connectRaw(proxy.port);
  peer.write(Uint8Array.of(5, 1, 0));
  await peer.untilReceived(2);
  peer.write(Uint8Array.of(5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255));
  await peer.untilReceived(12);
  return peer;
}

describe("the figures of the live view", () => {
  test("are those of the metrics and of the access log, for traffic of every kind", async () => {
    using echo = listenEcho();
    using origin = serveHttp(() => ok("12345"));
    await using parent = await startConnectUpstream();
    await using proxy = await startProxy({
      upstreams: { exits: { pool: [`http://127.0.0.1:${parent.port}`] } },
      rules: [
        { name: "banned", to: ["banned.example"], deny: true },
        { name: "parent", to: ["localhost"], via: "exits", allowPrivate: true },
        { name: "loopback", to: ["127.0.0.0/8"], allow: true, allowPrivate: true },
      ],
    });
    // Tunnels with CONNECT: one that ends, and one that stays; through a pool; with SOCKS.
    const first = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    first.peer.write("x".repeat(1000));
    await first.peer.untilReceived(1000);
    first.peer.finish();
    await first.peer.untilEnd();
    using stays = (await proxy.tunnel(`127.0.0.1:${echo.port}`)).peer;
    stays.write("still here");
    await stays.untilText("still here");
    const pooled = await proxy.tunnel(`localhost:${echo.port}`);
    pooled.peer.write("through the pool");
    await pooled.peer.untilText("through the pool");
    pooled.peer.finish();
    await pooled.peer.untilEnd();
    using socks = await openSocks(proxy, echo.port);
    socks.write("abc");
    await socks.untilText("abc");
    // A forwarded request, and refusals of several words.
    using client = await connectRaw(proxy.port);
    client.write(ask("GET", `http://127.0.0.1:${origin.port}/`));
    await takeResponse(client);
    await proxy.tunnel("banned.example:443");
    await proxy.tunnel("10.1.2.3:443");
    await proxy.tunnel("10.1.2.4:443");
    await proxy.exchange("GARBAGE\r\n\r\n");
    await waitFor(() => proxy.records.length >= 7, "the records");

    const series = await untilCounted(proxy);
    const status = await readStatus(proxy);
    const metrics = await proxy.metrics();
    const rows = await readTunnels(proxy);
    const metric = (name: string, label = "") => sumMetric(metrics, name, label);

    expect(status.tunnels).toBe(2);
    expect(status.tunnels).toBe(metric("penstock_tunnels_open"));
    expect(status.connections).toBe(metric("penstock_connections_open"));
    expect(status.totals).toEqual({
      connections: metric("penstock_connections_total"),
      tunnels: metric("penstock_tunnels_total"),
      requests: metric("penstock_requests_total"),
      failures: metric("penstock_failures_total"),
    });
    expect(status.listeners.map(({ accepted }) => accepted)).toEqual([status.totals.connections]);
    expect(status.bytes_up).toBe(metric("penstock_bytes_total", '"up"'));
    expect(status.bytes_down).toBe(metric("penstock_bytes_total", '"down"'));
    expect(status.upstreams).toEqual({ healthy: metric("penstock_upstream_member_up"), unhealthy: 0 });

    // The log has what is over, the table what is under way.
    const logged = (key: string) => sum(proxy.records.map((record) => Number(record[key] ?? 0)));
    const listed = (key: "bytes_up" | "bytes_down") => sum(rows.map((row) => row[key]));
    expect(status.bytes_up).toBe(logged("bytes_up") + listed("bytes_up"));
    expect(status.bytes_down).toBe(logged("bytes_down") + listed("bytes_down"));
    expect(rows.map(({ bytes_up: up, protocol }) => [up, protocol])).toEqual([
      [10, "http"],
      [3, "socks5"],
    ]);
    const words = proxy.records.flatMap(({ detail }) => (typeof detail === "string" ? [detail] : []));
    expect(words.length).toBe(4);
    expect(status.refusals).toEqual(
      Object.fromEntries(words.map((word) => [word, words.filter((other) => other === word).length])),
    );

    // The series has all of it, spread over seconds.
    expect(sum(series.up)).toBe(status.bytes_up);
    expect(sum(series.down)).toBe(status.bytes_down);
    expect(sum(series.connects)).toBe(status.tunnels + status.totals.tunnels);
    expect(sum(series.requests)).toBe(1);
    expect(sum(series.refused)).toBe(4);
    expect(series.tunnels.at(-1)).toBe(2);
    expect(series.connections.at(-1)).toBe(status.connections);
    // The metrics have the stages of tunnels once these are over.
    expect(status.dial_ms.count).toBe(metric("penstock_stage_seconds_count", '"dial"') + status.tunnels);
  });

  test("count the bytes of a tunnel in a splice lane, in both directions, while it lives", async () => {
    using target = listenRaw();
    await using proxy = await startProxy({ spliceAfter: "64KB" });
    const { peer } = await proxy.tunnel(`127.0.0.1:${target.port}`);
    using _ = peer;
    const far = await waitFor(() => target.accepted[0], "the target");
    const bytes = Buffer.alloc(4_000_000, 1);
    peer.write(bytes);
    await far.untilReceived(bytes.length);
    far.write(bytes);
    await peer.untilReceived(bytes.length);
    const series = await untilCounted(proxy);
    expect(sum(series.up)).toBe(4_000_000);
    expect(sum(series.down)).toBe(4_000_000);
    expect(await readStatus(proxy)).toMatchObject({ bytes_up: 4_000_000, bytes_down: 4_000_000 });
  });
});

/** Follows `/live`. */
class LiveFollower implements AsyncDisposable {
  readonly #bytes: AsyncIterator<Uint8Array>;
  readonly #parser = new ServerSentEvents();
  readonly #events: { readonly type: string; readonly data: string }[] = [];

  private constructor(body: ReadableStream<Uint8Array>) {
    this.#bytes = body[Symbol.asyncIterator]();
  }

  static async start(proxy: TestProxy, query = ""): Promise<LiveFollower> {
    const { body } = await proxy.ask(`/live${query}`);
    if (body === null) throw new Error("There is no stream");
    return new LiveFollower(body);
  }

  async state() {
    const { type, data } = await this.#next();
    expect(type).toBe("state");
    return liveState.strict().parse(JSON.parse(data));
  }

  /** Reads until an event has it. */
  async until<T>(find: (tick: ReturnType<typeof liveTick.parse>) => T | undefined): Promise<T> {
    for (;;) {
      const found = find(liveTick.strict().parse(JSON.parse((await this.#next()).data)));
      if (found !== undefined) return found;
    }
  }

  async #next() {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      const { value, done = false } = await this.#bytes.next();
      if (done) throw new Error("The stream is over");
      this.#events.push(...this.#parser.read(value));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bytes.return?.();
  }
}

describe("GET /live", () => {
  test("follows tunnels as they open, move bytes and end", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ users: [{ name: "alice", password: "secret" }] });
    await using follower = await LiveFollower.start(proxy, "?user=alice");
    expect(await follower.state()).toMatchObject({ rows: [], total: 0 });
    const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`, basic("alice", "secret"));
    const row = await follower.until(({ add }) => add[0]);
    expect(row).toMatchObject({ kind: "tunnel", user: "alice", target: `127.0.0.1:${echo.port}`, rule: "loopback" });
    expect((await readTunnels(proxy))[0]).toMatchObject({ ...row, age_ms: expect.any(Number) });
    peer.write("five!");
    await peer.untilText("five!");
    expect(await follower.until(({ move, add }) => move[0] ?? (add[0] && [add[0].id, 5, 5]))).toEqual([row.id, 5, 5]);
    peer[Symbol.dispose]();
    expect(await follower.until(({ gone }) => gone[0])).toBe(row.id);
  });

  test("ends when the proxy ends", async () => {
    await using proxy = await startProxy();
    await using follower = await LiveFollower.start(proxy);
    await follower.state();
    const over = follower.until(() => undefined).catch((error: unknown) => error);
    await proxy.daemon.stop();
    expect(await over).toEqual(new Error("The stream is over"));
  });
});

describe("GET /tunnels/:id", () => {
  test("has the stages of a tunnel and the messages of its handshake", async () => {
    using origin = listenReplay("openssl-tls12-ecdhe-rsa");
    await using proxy = await startProxy();
    const { peer } = await proxy.tunnel(`127.0.0.1:${origin.port}`);
    using _ = peer;
    const [row] = await readTunnels(proxy);
    expect((await readDetails(proxy, row?.id)).handshake).toEqual({
      messages: [],
      hidden: "Too little was said in the tunnel so far.",
    });
    await replayClient(peer, "openssl-tls12-ecdhe-rsa");
    const details = await readDetails(proxy, row?.id);
    expect(details).toMatchObject({ status: 200, tls: { sni: "server.example", version: "TLS 1.2" } });
    expect(details.handshake.messages[0]).toEqual({ from: "client", name: "ClientHello", bytes: 347, at_ms: 0 });
    expect(details.handshake.messages.map(({ name }) => name)).toContain("ServerKeyExchange");
    expect(details.handshake).not.toHaveProperty("hidden");
    const names = details.stages.map(({ name }) => name);
    expect(names).toEqual([
      "accept",
      "handshake",
      "authenticate",
      "request",
      "decide",
      "route",
      "dial",
      "respond",
      "tunnel",
    ]);
    for (const [at, stage] of details.stages.entries())
      expect(stage.at_ms).toBeGreaterThanOrEqual(details.stages[at - 1]?.at_ms ?? 0);
    expect((await proxy.ask("/tunnels/none-1")).status).toBe(404);
  });

  test("says what TLS 1.3 hides, and where nobody looks", async () => {
    using origin = listenReplay("openssl-tls13");
    await using proxy = await startProxy();
    const { peer } = await proxy.tunnel(`127.0.0.1:${origin.port}`);
    using _ = peer;
    await replayClient(peer, "openssl-tls13");
    const [row] = await readTunnels(proxy);
    const { handshake } = await readDetails(proxy, row?.id);
    expect(handshake.messages.slice(0, 2).map(({ name }) => name)).toEqual(["ClientHello", "ServerHello"]);
    expect(handshake.hidden).toStartWith("TLS 1.3 encrypts all that follows the ServerHello");
  });
});

describe("without a sidecar", () => {
  test("nothing is counted, and a reload that adds one begins", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ sidecar: undefined });
    (await proxy.tunnel(`127.0.0.1:${echo.port}`)).peer[Symbol.dispose]();
    await proxy.record();
    expect(await proxy.reload({})).toMatchObject({ kind: "done" });
    (await proxy.tunnel(`127.0.0.1:${echo.port}`)).peer[Symbol.dispose]();
    await proxy.record(1);
    expect(sum((await untilCounted(proxy)).connects)).toBe(1);
    expect((await readStatus(proxy)).totals.tunnels).toBe(2);
  });
});
