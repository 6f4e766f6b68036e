import { describe, expect } from "bun:test";
import { startSquid, untilServing } from "../support/upstream-programs.ts";
import { needs } from "../support/needs.ts";
import { rules, startPool, stateOf, useTunnel } from "../support/pool-proxy.ts";
import { type RunningProgram, startProgram } from "../support/program.ts";
import { waitFor } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

/** microsocks on a port of its own, which can be killed and started again. */
class Microsocks implements AsyncDisposable {
  readonly port: number;
  program: RunningProgram;

  private constructor(port: number) {
    this.port = port;
    this.program = Microsocks.#run(port);
  }

  static async start(): Promise<Microsocks> {
    const server = new Microsocks(await reserveClosedPort());
    await untilServing(server.port, server.program);
    return server;
  }

  static #run(port: number): RunningProgram {
    return startProgram(["microsocks", ["-i", "127.0.0.1", "-p", String(port)]]);
  }

  get url(): string {
    return `socks5h://127.0.0.1:${this.port}`;
  }

  async kill(): Promise<void> {
    this.program.signal("SIGKILL");
    await this.program.exited;
  }

  async restart(): Promise<void> {
    this.program = Microsocks.#run(this.port);
    await untilServing(this.port, this.program);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
  }
}

/** Clients that open tunnels at once, each one after the other. */
const CLIENTS = 8;
const DEATHS = 10;

describe("a pool of other people's proxies", () => {
  needs("microsocks")("loses no connection while one of five dies and comes back ten times", async () => {
    using echo = listenEcho();
    const members = await Promise.all(Array.from({ length: 5 }, () => Microsocks.start()));
    await using stack = new AsyncDisposableStack();
    for (const member of members) stack.use(member);
    await using proxy = await startPool(
      { pool: members.map(({ url }) => url), eject: { failures: 3, for: "100ms", max: "200ms" } },
      { rules, timeouts: { connect: "10s" } },
    );
    const heads = new Map<string, number>();
    let goesOn = true;
    const clients = Array.from({ length: CLIENTS }, async () => {
      while (goesOn) {
        const { peer, head } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
        const [line = ""] = head.split("\r\n", 1);
        heads.set(line, (heads.get(line) ?? 0) + 1);
        peer.reset();
      }
    });
    const [victim] = members;
    if (victim === undefined) throw new Error("There is no member");
    for (let death = 0; death < DEATHS; death++) {
      const { ejections = 0 } = stateOf(proxy) ?? {};
      await victim.kill();
      await waitFor(() => (stateOf(proxy)?.ejections ?? 0) > ejections, "an ejection");
      await victim.restart();
      await waitFor(() => stateOf(proxy)?.health === "healthy", "its return");
    }
    goesOn = false;
    await Promise.all(clients);
    expect([...heads.keys()]).toEqual(["HTTP/1.1 200 Connection Established"]);
    await waitFor(() => [0, 1, 2, 3, 4].every((at) => stateOf(proxy, at)?.connections === 0), "no connection");
  });

  needs("microsocks", "squid")("passes over one that is stopped, and uses it again when it goes on", async () => {
    using echo = listenEcho();
    await using stopped = await Microsocks.start();
    await using squid = await startSquid({ username: "edge", password: "parent" });
    await using proxy = await startPool(
      {
        pool: [stopped.url, squid.url.replace("//", "//edge:parent@")],
        balance: "first",
        eject: { failures: 2, for: "100ms" },
      },
      { rules, timeouts: { connect: "2s" } },
    );
    stopped.program.signal("SIGSTOP");
    for (let at = 0; at < 3; at++) expect(await useTunnel(proxy, echo.port)).toStartWith("HTTP/1.1 200 ");
    await waitFor(() => (stateOf(proxy)?.ejections ?? 0) > 0, "the ejection");
    stopped.program.signal("SIGCONT");
    const before = proxy.records.length;
    for (let at = before; stateOf(proxy)?.health !== "healthy"; at++) {
      expect(await useTunnel(proxy, echo.port)).toStartWith("HTTP/1.1 200 ");
      expect(at - before).toBeLessThan(1000);
      await Bun.sleep(10);
    }
  });

  needs("squid")("passes over a Squid that does not accept the credentials", async () => {
    using echo = listenEcho();
    await using squid = await startSquid({ username: "edge", password: "parent" });
    await using proxy = await startPool(
      {
        pool: [
          { url: squid.url.replace("//", "//edge:wrong@"), name: "wrong" },
          { url: squid.url.replace("//", "//edge:parent@"), name: "right" },
        ],
        balance: "first",
      },
      { rules },
    );
    for (let at = 0; at < 4; at++) expect(await useTunnel(proxy, echo.port)).toStartWith("HTTP/1.1 200 ");
    expect(stateOf(proxy)).toMatchObject({ health: "ejected", reason: "upstream_credentials", failed: 3 });
    expect(await proxy.record(3)).toMatchObject({ member: "exits/right", attempts: 1 });
  });
});
