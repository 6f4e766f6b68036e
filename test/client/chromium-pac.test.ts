import { describe, expect } from "bun:test";
import { startExecutable } from "../support/executable.ts";
import { needs } from "../support/needs.ts";
import { expectProgram } from "../support/program.ts";
import { makeFolder } from "../support/temporary-folder.ts";

/** A page of an origin, or of an upstream proxy that forwards to one. */
function servePage(text: string) {
  const requests: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch({ url, headers }) {
      requests.push(`${new URL(url).host} ${headers.has("via") ? "through a proxy" : "directly"}`);
      return new Response(`<!doctype html><title>x</title><p>${text}</p>`, {
        headers: { "Content-Type": "text/html" },
      });
    },
  });
  return { port: server.port, requests, [Symbol.dispose]: () => void server.stop(true) };
}

describe("headless Chromium with --proxy-pac-url", () => {
  needs("chromium")("takes the listener from /proxy.pac, and reaches the exceptions directly", async () => {
    using behind = servePage("through the proxy");
    using origin = servePage("directly");
    await using folder = await makeFolder({
      "proxy.config.json": {
        listen: [{ host: "127.0.0.1", port: 0 }],
        upstreams: { next: `http://127.0.0.1:${behind.port}` },
        rules: [{ name: "page", to: ["www.proxied.example:80"], via: "next" }],
        // Whatever else a browser wants to know of the world.
        default: "deny",
        sidecar: { port: 0, token: "not-for-browsers" },
        pac: { direct: ["*.corp.example"] },
      },
    });
    await using proxy = await startExecutable({ cwd: folder.path });
    const pac = `${await proxy.sidecarUrl()}/proxy.pac`;

    const through = await browse(pac, "http://www.proxied.example/", origin.port);
    expect(through).toContain("<p>through the proxy</p>");
    const record = await proxy.record((each) => each["target"] === "www.proxied.example:80");
    expect(record).toMatchObject({ protocol: "http", method: "GET", scheme: "http", status: 200, rule: "page" });
    expect(behind.requests[0]).toBe("www.proxied.example through a proxy");

    const direct = await browse(pac, `http://www.corp.example:${origin.port}/`, origin.port);
    expect(direct).toContain("<p>directly</p>");
    expect(origin.requests[0]).toBe(`www.corp.example:${origin.port} directly`);
    expect(proxy.records.filter(({ target }) => String(target).includes("corp.example"))).toEqual([]);
  });
});

/** The page as the browser has it. It finds the name below corp.example, and no other. */
async function browse(pac: string, url: string, port: number | undefined): Promise<string> {
  await using home = await makeFolder();
  return await expectProgram(
    [
      ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"],
      ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
      [`--user-data-dir=${home.path}/profile`, `--proxy-pac-url=${pac}`],
      [`--host-resolver-rules=MAP www.corp.example 127.0.0.1:${port}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1`],
      ["--dump-dom", url],
    ],
    { env: { HOME: home.path } },
  );
}
