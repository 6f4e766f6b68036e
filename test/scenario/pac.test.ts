import { describe, expect, test } from "bun:test";
import { describeFailure } from "../../src/proxy/failure.ts";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { listenAsMember } from "../support/member-peers.ts";
import { allowLoopback, startProxy, type TestProxyOptions, waitFor } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

const viaCorp = { ...allowLoopback, to: ["127.0.0.0/8", "*.example"], via: "corp" };

/** A proxy whose requests a PAC file leads. */
function startWithPac(source: string, config: PenstockConfig = {}, options: TestProxyOptions = {}) {
  return startProxy(
    { upstreams: { corp: { pac: "proxy.pac" } }, rules: [viaCorp], ...config },
    { files: { "proxy.pac": source }, ...options },
  );
}

function answer(text: string): string {
  return `function FindProxyForURL(url, host) { return ${JSON.stringify(text)}; }`;
}

describe("a request that a PAC file leads", () => {
  test("goes directly, under the address guard", async () => {
    using echo = listenEcho();
    await using proxy = await startWithPac(answer("DIRECT"), {
      rules: [
        { ...viaCorp, to: [`127.0.0.1:${echo.port}`] },
        { name: "all", to: ["*"], via: "corp" },
      ],
    });
    const { head, peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    expect(head).toStartWith("HTTP/1.1 200 ");
    peer.finish();
    expect(await proxy.record()).toMatchObject({ route: "direct", dialled: `127.0.0.1:${echo.port}` });
    // The file says DIRECT, and that changes nothing about what may be dialled.
    for (const [at, target] of ["127.0.0.1:9", "169.254.169.254:80", "[::1]:9"].entries()) {
      expect((await proxy.tunnel(target)).head).toStartWith("HTTP/1.1 403 ");
      expect(await proxy.record(at + 1)).toMatchObject({ detail: "address_prohibited" });
    }
  });

  test("is resolved and judged anew, whatever the file was told of the name", async () => {
    const resolver = createFakeResolver({ "inside.example": ["10.0.0.1"] });
    const source = `function FindProxyForURL(url, host) { return isInNet(host, "10.0.0.0", "255.0.0.0") ? "DIRECT" : "PROXY 127.0.0.1:1"; }`;
    await using proxy = await startWithPac(source, { rules: [{ name: "all", to: ["*"], via: "corp" }] }, { resolver });
    expect((await proxy.tunnel("inside.example:443")).head).toStartWith("HTTP/1.1 403 ");
    expect(await proxy.record()).toMatchObject({ detail: "address_prohibited", route: "direct" });
  });

  test("goes through the proxy that the file names", async () => {
    using echo = listenEcho();
    await using upstream = await startConnectUpstream();
    await using proxy = await startWithPac(answer(`PROXY 127.0.0.1:${upstream.port}`));
    const { peer, head } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    expect(head).toStartWith("HTTP/1.1 200 ");
    peer.write("hello");
    await peer.untilText("hello");
    peer.finish();
    expect(await proxy.record()).toMatchObject({ route: `corp/http://127.0.0.1:${upstream.port}` });
    expect(upstream.asked).toEqual([`127.0.0.1:${echo.port}`]);
  });

  test.each(["refuses", "closes after accept", "resets after accept", "answers garbage", "answers 407"])(
    "goes to the next choice when the first one %s, and the first one is left out for a time",
    async (behaviour) => {
      using echo = listenEcho();
      using bad = behaviour === "refuses" ? undefined : listenAsMember(behaviour);
      await using good = await startConnectUpstream();
      const port = bad?.port ?? (await reserveClosedPort());
      await using proxy = await startWithPac(answer(`PROXY 127.0.0.1:${port}; PROXY 127.0.0.1:${good.port}; DIRECT`));
      for (let at = 0; at < 3; at += 1) {
        const { head, peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
        expect(head).toStartWith("HTTP/1.1 200 ");
        peer.finish();
      }
      expect(good.asked).toHaveLength(3);
      // The request, and a ping where the target may have been the one that closed.
      expect(bad?.accepted.length ?? 1).toBe(behaviour.endsWith("after accept") ? 2 : 1);
    },
  );

  test("goes directly at last, when the file says so", async () => {
    using echo = listenEcho();
    const port = await reserveClosedPort();
    await using proxy = await startWithPac(answer(`PROXY 127.0.0.1:${port}; SOCKS 127.0.0.1:${port}; DIRECT`));
    const { head, peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    expect(head).toStartWith("HTTP/1.1 200 ");
    peer.finish();
    expect(await proxy.record()).toMatchObject({ dialled: `127.0.0.1:${echo.port}` });
  });

  test("fails when the last choice fails, and never goes directly when the file does not say so", async () => {
    using echo = listenEcho();
    const port = await reserveClosedPort();
    await using proxy = await startWithPac(answer(`PROXY 127.0.0.1:${port}; HTTPS 127.0.0.1:${port}`));
    expect((await proxy.tunnel(`127.0.0.1:${echo.port}`)).head).toMatch(/^HTTP\/1\.1 50[23] /);
    expect(echo.accepted).toHaveLength(0);
  });

  test("does not go to the proxy itself: that is a loop", async () => {
    await using proxy = await startProxy(
      { upstreams: { corp: { pac: "proxy.pac" } }, rules: [viaCorp] },
      { files: { "proxy.pac": answer("DIRECT") } },
    );
    await proxy.daemon.replacePac("corp", { ok: true, text: answer(`PROXY 127.0.0.1:${proxy.port}`) });
    expect((await proxy.tunnel("a.example:443")).head).toStartWith("HTTP/1.1 508 ");
    expect(await proxy.record()).toMatchObject({ detail: "proxy_loop" });
  });

  test("shows its credentials to the proxies that they are for, and to no other", async () => {
    const seen: string[] = [];
    const serve = () =>
      Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        fetch: ({ headers }) => {
          seen.push(headers.get("proxy-authorization") ?? "none");
          return new Response("ok");
        },
      });
    const [first, second] = [serve(), serve()];
    const source = `function FindProxyForURL(url) { return "PROXY 127.0.0.1:" + (/first/.test(url) ? ${first.port} : ${second.port}); }`;
    await using proxy = await startWithPac(source, {
      upstreams: {
        corp: { pac: "proxy.pac", logins: { [`127.0.0.1:${first.port}`]: { username: "u", password: "p" } } },
      },
    });
    for (const path of ["first", "second"])
      await proxy.exchange(`GET http://a.example/${path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n`);
    expect(seen).toEqual([`Basic ${btoa("u:p")}`, "none"]);
    await Promise.all([first.stop(true), second.stop(true)]);
  });

  test("is led by its path when it is plain HTTP, also on a connection that is kept", async () => {
    const serve = (text: string) => Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(text) });
    const [one, two] = [serve("this is one"), serve("this is two")];
    const source = `function FindProxyForURL(url) { return "PROXY 127.0.0.1:" + (/\\/two$/.test(url) ? ${two.port} : ${one.port}); }`;
    await using proxy = await startWithPac(source);
    const peer = await proxy.connect();
    for (const path of ["one", "two", "one", "two"]) {
      peer.write(`GET http://a.example/${path} HTTP/1.1\r\nHost: a.example\r\n\r\n`);
      await peer.untilText(`this is ${path}`);
    }
    peer.finish();
    await Promise.all([one.stop(true), two.stop(true)]);
  });

  test("may be a part of a chain", async () => {
    using echo = listenEcho();
    await using first = await startConnectUpstream();
    await using second = await startConnectUpstream();
    await using proxy = await startWithPac(answer(`PROXY 127.0.0.1:${second.port}`), {
      upstreams: { near: `http://127.0.0.1:${first.port}`, corp: { pac: "proxy.pac" } },
      rules: [{ ...viaCorp, via: ["near", "corp"] }],
    });
    expect((await proxy.tunnel(`127.0.0.1:${echo.port}`)).head).toStartWith("HTTP/1.1 200 ");
    expect(first.asked).toEqual([`127.0.0.1:${second.port}`]);
    expect(second.asked).toEqual([`127.0.0.1:${echo.port}`]);
  });
});

describe("a PAC file that gives no answer", () => {
  test.each([
    ["throws", "throw new Error('secret plans')", "threw Error: secret plans"],
    ["never ends", "for (;;);", "did not end within 500 ms"],
    ["takes 100 MB", "return 'x'.repeat(1e8)", "needs too much memory"],
    ["answers with a number", "return 7", "answered with a number"],
    ["names what nobody knows", "return 'QUIC a:1'", "names no proxy that is known here"],
  ])("refuses the request when it %s, and other requests go on meanwhile", async (_, code, why) => {
    using echo = listenEcho();
    await using proxy = await startWithPac(
      `function FindProxyForURL(url, host) { if (host === "bad.example") { ${code} } return "DIRECT"; }`,
      { rules: [{ name: "led", to: ["bad.example"], via: "corp" }, allowLoopback] },
    );
    const bad = proxy.tunnel("bad.example:443");
    // Not led by the file.
    expect((await proxy.tunnel(`127.0.0.1:${echo.port}`)).head).toStartWith("HTTP/1.1 200 ");
    const { head } = await bad;
    expect(head).toStartWith("HTTP/1.1 502 PAC file of the upstream proxy gave no usable answer\r\n");
    expect(head).toContain(`error=${describeFailure("pac_failed").word}`);
    expect(head).toContain('details="pac_failed: the PAC file of corp gave no usable answer"');
    expect(head).not.toContain("secret");
    expect(proxy.messages.filter((message) => message.includes(why))).toHaveLength(1);
    expect(await proxy.metrics()).toContain('detail="pac_failed"} 1');
  });

  test("leaves the one before in use, and log, readiness and metrics say so", async () => {
    using echo = listenEcho();
    await using proxy = await startWithPac(answer("DIRECT"));
    expect(await (await proxy.ask("/readyz")).json()).toEqual({ ready: true });
    expect(await proxy.metrics()).toContain('penstock_pac_usable{upstream="corp"} 1');
    await proxy.daemon.replacePac("corp", { ok: true, text: "function FindProxyForURL(" });
    await proxy.daemon.replacePac("corp", { ok: false, reason: "the permission is missing" });
    expect((await proxy.tunnel(`127.0.0.1:${echo.port}`)).head).toStartWith("HTTP/1.1 200 ");
    expect(await (await proxy.ask("/readyz")).json()).toEqual({
      ready: true,
      warning: "The PAC file of upstream corp cannot be read: the permission is missing.",
    });
    const metrics = await proxy.metrics();
    expect(metrics).toContain('penstock_pac_usable{upstream="corp"} 0');
    expect(metrics).toContain('penstock_pac_failures_total{upstream="corp"} 2');
    expect(proxy.messages.some((message) => message.includes("threw SyntaxError"))).toBe(true);
    await proxy.daemon.replacePac("corp", { ok: true, text: answer("NONSENSE") });
    expect((await proxy.tunnel(`127.0.0.1:${echo.port}`)).head).toStartWith("HTTP/1.1 502 ");
  });
});

describe("a PAC file that is fetched", () => {
  test("is in use when the proxy listens, and followed", async () => {
    using echo = listenEcho();
    let text = answer("DIRECT");
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(text) });
    await using proxy = await startProxy({
      upstreams: { corp: { pac: `http://127.0.0.1:${server.port}/proxy.pac`, refresh: "20ms" } },
      rules: [viaCorp],
    });
    expect((await proxy.tunnel(`127.0.0.1:${echo.port}`)).head).toStartWith("HTTP/1.1 200 ");
    text = answer("PROXY 127.0.0.1:1");
    await waitFor(() => proxy.messages.includes("Read the PAC file of upstream corp again."), "the new file");
    expect((await proxy.tunnel(`127.0.0.1:${echo.port}`)).head).toStartWith("HTTP/1.1 502 ");
    await server.stop(true);
  });

  test("that is not there at the start does not keep the proxy from starting: what it would lead is refused until then", async () => {
    using echo = listenEcho();
    const port = await reserveClosedPort();
    await using proxy = await startProxy({
      upstreams: { corp: { pac: `http://127.0.0.1:${port}/proxy.pac`, refresh: "20ms" } },
      rules: [viaCorp],
      default: "corp",
    });
    const { head } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    expect(head).toStartWith("HTTP/1.1 503 PAC file of the upstream proxy is not there yet\r\n");
    const readiness = await proxy.ask("/readyz");
    expect(readiness.status).toBe(503);
    expect(await readiness.json()).toMatchObject({
      ready: false,
      reason: "no_way_out",
      warning: expect.stringContaining("corp"),
    });
    const server = Bun.serve({ hostname: "127.0.0.1", port, fetch: () => new Response(answer("DIRECT")) });
    const told = "The PAC file of upstream corp can be used again.";
    await waitFor(() => proxy.messages.includes(told), "the file");
    expect((await proxy.ask("/readyz")).status).toBe(200);
    expect((await proxy.tunnel(`127.0.0.1:${echo.port}`)).head).toStartWith("HTTP/1.1 200 ");
    await server.stop(true);
  });
});

describe("a reload", () => {
  test("keeps an unchanged PAC file, takes another one, and forgets one that is gone", async () => {
    using echo = listenEcho();
    let fetches = 0;
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch() {
        fetches += 1;
        return new Response(answer("DIRECT"));
      },
    });
    const pac = { pac: `http://127.0.0.1:${server.port}/proxy.pac` };
    await using proxy = await startProxy({ upstreams: { corp: pac }, rules: [viaCorp] });
    await proxy.reload({ upstreams: { corp: pac }, rules: [viaCorp] });
    expect(fetches).toBe(1);
    const corp = { pac: "proxy.pac" };
    await proxy.reload({ upstreams: { corp }, rules: [viaCorp] }, { "proxy.pac": answer("PROXY 127.0.0.1:1") });
    expect((await proxy.tunnel(`127.0.0.1:${echo.port}`)).head).toStartWith("HTTP/1.1 502 ");
    await proxy.reload({ rules: [allowLoopback] });
    expect((await proxy.tunnel(`127.0.0.1:${echo.port}`)).head).toStartWith("HTTP/1.1 200 ");
    expect(await proxy.metrics()).not.toContain("penstock_pac_");
    await server.stop(true);
  });
});
