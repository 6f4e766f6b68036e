import { describe, expect, test } from "bun:test";
import { ServerSentEvents } from "../../src/protocol/server-sent-events.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { basic, startProxy, type TestProxy } from "../support/proxy.ts";

const TOKEN = "scenario-token";
const AUTHORIZED = { Authorization: `Bearer ${TOKEN}` };

function locate(proxy: TestProxy, path: string): string {
  return `http://127.0.0.1:${proxy.daemon.sidecar?.port}${path}`;
}

type Event = Readonly<Record<string, unknown>>;

/** Follows `/events` as Server-Sent Events. */
class Follower implements AsyncDisposable {
  readonly #bytes: AsyncIterator<Uint8Array>;
  readonly #parser = new ServerSentEvents();
  #events: { readonly id: string; readonly event: Event }[] = [];

  private constructor(body: ReadableStream<Uint8Array>) {
    this.#bytes = body[Symbol.asyncIterator]();
  }

  static async start(proxy: TestProxy, query = "", headers: Record<string, string> = {}): Promise<Follower> {
    const answer = await fetch(locate(proxy, `/events${query}`), { headers: { ...AUTHORIZED, ...headers } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("Content-Type")).toBe("text/event-stream; charset=utf-8");
    if (answer.body === null) throw new Error("There is no stream");
    const follower = new Follower(answer.body);
    await follower.#read();
    return follower;
  }

  async next(): Promise<{ readonly id: string; readonly event: Event }> {
    for (;;) {
      const found = this.#events.shift();
      if (found !== undefined) return found;
      if (!(await this.#read())) throw new Error("The stream is over");
    }
  }

  async until(type: string): Promise<Event> {
    for (;;) {
      const { event } = await this.next();
      if (event["event"] === type) return event;
    }
  }

  async #read(): Promise<boolean> {
    const { value, done = false } = await this.#bytes.next();
    if (done) return false;
    for (const { id, data } of this.#parser.read(value)) this.#events.push({ id, event: JSON.parse(data) as Event });
    return true;
  }

  async untilOver(): Promise<void> {
    while (await this.#read());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bytes.return?.();
  }
}

const users = [{ name: "alice", password: "secret" }];

describe("GET /events", () => {
  test("tells of a tunnel as it opens and ends, and of a refusal with its word", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ users });
    await using follower = await Follower.start(proxy);
    const target = `127.0.0.1:${echo.port}`;
    const { peer } = await proxy.tunnel(target, basic("alice", "secret"));
    const opened = await follower.until("tunnel_opened");
    expect(opened).toMatchObject({ v: 1, user: "alice", target, rule: "loopback", route: "direct" });
    peer.write("five!");
    await peer.untilText("five!");
    peer[Symbol.dispose]();
    const ended = await follower.until("tunnel_ended");
    expect(ended).toMatchObject({ id: opened["id"], bytes_up: 5, bytes_down: 5 });
    await proxy.tunnel(target, basic("alice", "wrong"));
    expect(await follower.until("refused")).toMatchObject({
      detail: "credentials_wrong",
      error: "http_request_denied",
      status: 407,
      user: "alice",
      // The login comes before the target, which is named all the same.
      target,
    });
    await proxy.exchange(`GET http://${target}/ HTTP/1.1\r\nHost: ${target}\r\nConnection: close\r\n\r\n`);
    expect(await follower.until("refused")).toMatchObject({ detail: "credentials_required", method: "GET", target });
    expect(await proxy.metrics()).toMatch(/^penstock_requests_total 0$/m);
  });

  test("goes on after the last event that a follower has seen", async () => {
    await using proxy = await startProxy({});
    await using first = await Follower.start(proxy, "?type=refused");
    await proxy.tunnel("10.0.0.1:1");
    const { id } = await first.next();
    await first[Symbol.asyncDispose]();
    await proxy.tunnel("10.0.0.1:2");
    await using second = await Follower.start(proxy, "?type=refused", { "Last-Event-ID": id });
    expect((await second.next()).event).toMatchObject({ target: "10.0.0.1:2" });
  });

  test("lets filters through only what they name, and says which are wrong", async () => {
    await using proxy = await startProxy({});
    await using follower = await Follower.start(proxy, "?word=address_prohibited&target=10.0.0.1:2");
    await proxy.tunnel("10.0.0.1:1");
    await proxy.tunnel("10.0.0.1:2");
    expect((await follower.next()).event).toMatchObject({ target: "10.0.0.1:2" });
    for (const [query, detail] of [
      ["type=nothing", 'There is no event "nothing".'],
      ["target=a%20b", '"a b" is no host.'],
      ["wait=1h", '"1h" is no time to wait.'],
      ["kind=refused", 'There is no parameter "kind".'],
    ] as const) {
      const answer = await fetch(locate(proxy, `/events?${query}`), { headers: AUTHORIZED });
      expect(answer.status).toBe(400);
      expect(((await answer.json()) as { detail: string }).detail).toStartWith(detail);
    }
    expect((await fetch(locate(proxy, "/events"))).status).toBe(401);
    expect((await fetch(locate(proxy, "/events"), { method: "POST", headers: AUTHORIZED })).status).toBe(405);
  });

  test("answers polls with what came after an id, or waits for the first", async () => {
    await using proxy = await startProxy({});
    const poll = async (query: string) =>
      (await (await fetch(locate(proxy, `/events?type=refused&${query}`), { headers: AUTHORIZED })).json()) as {
        events: Event[];
        last: string;
      };
    const start = await poll("wait=0s");
    expect(start.events).toEqual([]);
    await proxy.tunnel("10.0.0.1:1");
    const one = await poll(`after=${start.last}`);
    expect(one.events).toMatchObject([{ event: "refused", target: "10.0.0.1:1" }]);
    const waiting = poll(`after=${one.last}&wait=30s`);
    await proxy.tunnel("10.0.0.1:2");
    const two = await waiting;
    expect(two.events).toMatchObject([{ event: "refused", target: "10.0.0.1:2" }]);
    expect((await poll(`after=${two.last}&wait=50ms`)).events).toEqual([]);
  });

  test("sends the same over a WebSocket", async () => {
    await using proxy = await startProxy({});
    const url = locate(proxy, "/events?type=refused").replace("http:", "ws:");
    const socket = new WebSocket(url, { headers: AUTHORIZED });
    const events: Event[] = [];
    const { promise: got, resolve } = Promise.withResolvers<void>();
    socket.addEventListener("message", ({ data }) => {
      events.push(JSON.parse(String(data)) as Event);
      if (events.length === 2) resolve();
    });
    await new Promise((open, fail) => {
      socket.addEventListener("open", open);
      socket.addEventListener("error", fail);
    });
    await proxy.tunnel("10.0.0.1:1");
    await proxy.tunnel("10.0.0.1:2");
    await got;
    expect(events).toMatchObject([{ target: "10.0.0.1:1" }, { target: "10.0.0.1:2" }]);
    const closed = new Promise<CloseEvent>((done) => {
      socket.addEventListener("close", done);
    });
    socket.close();
    expect((await closed).wasClean).toBe(true);
  });

  test("refuses what is no WebSocket handshake", async () => {
    await using proxy = await startProxy({});
    const key = "dGhlIHNhbXBsZSBub25jZQ==";
    const ask = async (headers: Record<string, string>) =>
      (await fetch(locate(proxy, "/events"), { headers: { ...AUTHORIZED, ...headers } })).status;
    expect(await ask({ Upgrade: "h2c", Connection: "Upgrade" })).toBe(400);
    expect(
      await ask({
        Upgrade: "websocket",
        Connection: "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "8",
      }),
    ).toBe(426);
    expect(
      await ask({
        Upgrade: "websocket",
        Connection: "Upgrade",
        "Sec-WebSocket-Key": "short",
        "Sec-WebSocket-Version": "13",
      }),
    ).toBe(400);
  });

  test("bounds the watchers, and lets one in again once another leaves", async () => {
    await using proxy = await startProxy({});
    await using first = await Follower.start(proxy);
    const others = await Promise.all(Array.from({ length: 11 }, () => Follower.start(proxy)));
    const refused = await fetch(locate(proxy, "/events"), { headers: AUTHORIZED });
    expect([refused.status, refused.headers.get("Retry-After")]).toEqual([429, "10"]);
    expect((await fetch(locate(proxy, "/metrics"), { headers: AUTHORIZED })).status).toBe(200);
    await Promise.all(others.map((other) => other[Symbol.asyncDispose]()));
    let status = 429;
    while (status === 429) {
      const answer = await fetch(locate(proxy, "/events"), { headers: AUTHORIZED });
      status = answer.status;
      await answer.body?.cancel();
    }
    expect(status).toBe(200);
    expect(first).toBeDefined();
  });

  test("ends the streams when the proxy stops", async () => {
    const proxy = await startProxy({});
    await using follower = await Follower.start(proxy, "?type=drain,reload");
    await proxy[Symbol.asyncDispose]();
    await follower.untilOver();
  });
});
