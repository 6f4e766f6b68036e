import { describe, expect } from "bun:test";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { needs } from "../support/needs.ts";
import { runProgram } from "../support/program.ts";
import { allowLoopback, startProxy, type TestProxy } from "../support/proxy.ts";
import { listenRaw } from "../support/raw-peer.ts";
import { startTlsOrigin } from "../support/tls-origin.ts";

const resolver = createFakeResolver({ "good.example": ["127.0.0.1"], "evil.example": ["127.0.0.1"] });

function startWith(demand: Record<string, unknown>): Promise<TestProxy> {
  return startProxy({ rules: [{ ...allowLoopback, ...demand }] }, { resolver });
}

/** Asks a server for another name than the one that the proxy is asked for. */
function frontWithCurl(proxyUrl: string, port: number, sni: string) {
  return runProgram(
    [
      ["curl", "-sS", "-k", "-x", proxyUrl, "--connect-to", `${sni}:443:good.example:${port}`],
      ["-w", "%{http_code}", "-o", "/dev/null", `https://${sni}/hello`],
    ].flat(),
  );
}

describe("a rule with sni", () => {
  needs("curl", "node")("catches curl when it fronts one name with another, over HTTP and SOCKS", async () => {
    await using origin = await startTlsOrigin();
    await using proxy = await startWith({ sni: "match" });
    for (const [at, scheme] of ["http", "socks5h", "socks4a"].entries()) {
      const proxyUrl = `${scheme}://127.0.0.1:${proxy.port}`;
      expect(await frontWithCurl(proxyUrl, origin.port, "good.example")).toMatchObject({ code: 0, stdout: "200" });
      const fronted = await frontWithCurl(proxyUrl, origin.port, "evil.example");
      expect(fronted).toMatchObject({ code: 35, stdout: "000" });
      expect(fronted.stderr).toContain("unrecognized name");
      expect(await proxy.record(at * 2)).toMatchObject({ inside: "tls", tls: { sni: "good.example" } });
      expect(await proxy.record(at * 2 + 1)).toMatchObject({
        target: `good.example:${origin.port}`,
        status: 200,
        error: "http_request_denied",
        detail: "sni_mismatch",
        note: "found SNI evil.example",
        end: "denied",
        bytes_up: 0,
      });
    }
  });

  needs("openssl")("catches openssl with another name and without one", async () => {
    using target = listenRaw();
    await using proxy = await startWith({ sni: ["good.example", "*.good.example"] });
    for (const [at, [args, note]] of (
      [
        [["-servername", "evil.example"], "found SNI evil.example"],
        [["-noservername"], "found no SNI"],
      ] as const
    ).entries()) {
      const { code, stderr } = await runProgram(
        [
          ["openssl", "s_client", "-proxy", `127.0.0.1:${proxy.port}`, "-connect", `good.example:${target.port}`],
          args,
        ].flat(),
      );
      expect(code).not.toBe(0);
      expect(stderr).toContain("unrecognized name");
      expect(await proxy.record(at)).toMatchObject({ detail: "sni_mismatch", note, end: "denied" });
      expect(target.accepted[at]?.received).toHaveLength(0);
    }
  });
});

describe("a rule with tls.min", () => {
  needs("curl", "node")("refuses curl that speaks no TLS 1.3, and lets the rest through", async () => {
    await using origin = await startTlsOrigin();
    await using proxy = await startWith({ tls: { min: "1.3" } });
    const ask = (...args: string[]) =>
      runProgram(["curl", "-sS", "-k", "-x", `http://127.0.0.1:${proxy.port}`, "-o", "/dev/null", ...args, origin.url]);
    expect(await ask()).toMatchObject({ code: 0 });
    const old = await ask("--tls-max", "1.2");
    expect(old.code).toBe(35);
    expect(old.stderr).toContain("protocol version");
    expect(await proxy.record(0)).toMatchObject({
      tls: { version: "TLS 1.3", cipher: expect.stringContaining("TLS_") },
    });
    expect(await proxy.record(1)).toMatchObject({ detail: "tls_too_old", note: "found TLS 1.2" });
  });
});

describe("a rule with protocols", () => {
  needs("ssh", "nc")("refuses SSH where only TLS may be spoken", async () => {
    using target = listenRaw();
    await using proxy = await startWith({ protocols: ["tls"] });
    const { code } = await runProgram(
      [
        ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-p", String(target.port)],
        ["-o", `ProxyCommand=nc -X connect -x 127.0.0.1:${proxy.port} %h %p`, "someone@good.example", "true"],
      ].flat(),
    );
    expect(code).toBe(255);
    expect(await proxy.record()).toMatchObject({
      inside: "ssh",
      detail: "protocol_denied",
      note: "found ssh",
      end: "denied",
      bytes_up: 0,
    });
    expect(target.accepted[0]?.received).toHaveLength(0);
  });
});
