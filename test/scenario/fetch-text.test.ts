import { describe, expect, test } from "bun:test";
import { fetchText } from "../../src/net/http/fetch-text.ts";
import { makeCertificate } from "../support/certificate.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

type Handler = (request: Request) => Response | Promise<Response>;

/** Serves on loopback until the end of the test. */
function serve(fetch: Handler, tls?: { cert: string; key: string }) {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch, ...(tls && { tls }) });
  const scheme = tls === undefined ? "http" : "https";
  return {
    url: `${scheme}://localhost:${server.port}`,
    origin: `${scheme}://127.0.0.1:${server.port}`,
    [Symbol.dispose]: () => void server.stop(true),
  };
}

const order = { maxBytes: 1024 * 1024, ms: 5000 };

describe("fetching a file", () => {
  test("gives its bytes and what it says of itself, whatever its type", async () => {
    using server = serve(() => new Response("file", { headers: { ETag: '"v1"', "Content-Type": "text/html" } }));
    const fetched = await fetchText({ ...order, url: `${server.url}/proxy.pac` });
    expect(fetched).toEqual({ kind: "content", bytes: Buffer.from("file"), etag: '"v1"', lastModified: undefined });
  });

  test("asks whether it has changed", async () => {
    using server = serve(({ headers }) =>
      headers.get("if-none-match") === '"v1"' && headers.get("if-modified-since") === "then"
        ? new Response(null, { status: 304 })
        : new Response("whole"),
    );
    const url = server.url;
    expect(await fetchText({ ...order, url, etag: '"v1"', lastModified: "then" })).toEqual({ kind: "unchanged" });
    expect(await fetchText({ ...order, url, etag: '"v2"' })).toMatchObject({ kind: "content" });
  });

  test("follows redirects, with the password for the same server alone", async () => {
    const seen: (string | null)[] = [];
    using other = serve(({ headers }) => {
      seen.push(headers.get("authorization"));
      return new Response("there");
    });
    using server = serve(({ url, headers }) => {
      seen.push(headers.get("authorization"));
      return Response.redirect(url.endsWith("/a") ? "/b" : `${other.origin}/c`, 302);
    });
    const url = `${server.url.replace("//", "//user:p%40ss@")}/a`;
    expect(await fetchText({ ...order, url })).toMatchObject({ kind: "content", bytes: Buffer.from("there") });
    const basic = `Basic ${Buffer.from("user:p@ss").toString("base64")}`;
    expect(seen).toEqual([basic, basic, null]);
  });

  test.each<[string, Handler, string]>([
    ["an answer that is none", () => new Response("no", { status: 404 }), "answered with 404"],
    ["redirects without end", ({ url }) => Response.redirect(url, 302), "redirects more than 5 times"],
    [
      "a redirect to a file",
      () => new Response(null, { status: 302, headers: { Location: "file:///etc/passwd" } }),
      "redirects to something that is no URL",
    ],
    [
      "a redirect with a user that cannot be decoded",
      ({ url }) => Response.redirect(url.replace("//", "//%zz:x@"), 302),
      "has a user or a password in its URL that cannot be decoded",
    ],
    ["a file that is too large", () => new Response("x".repeat(1024 * 1024 + 1)), "is larger than 1 MiB"],
    [
      "a compressed file",
      () => new Response(Bun.gzipSync(Buffer.from("x")), { headers: { "Content-Encoding": "gzip" } }),
      "answered with a compressed file, which was not asked for",
    ],
    ["an unasked 304", () => new Response(null, { status: 304 }), "answered with 304"],
  ])("fails at %s", async (_, handler, why) => {
    using server = serve(handler);
    expect(await fetchText({ ...order, url: server.url })).toEqual({ kind: "failed", why });
  });

  test("fails when nobody is there, and when nobody answers in time", async () => {
    const port = await reserveClosedPort();
    expect(await fetchText({ ...order, url: `http://127.0.0.1:${port}/` })).toEqual({
      kind: "failed",
      why: expect.stringMatching(/^cannot be reached: E?Conn.*Refused$/i),
    });
    using server = serve(() => new Promise(() => {}));
    expect(await fetchText({ ...order, ms: 50, url: server.url })).toEqual({
      kind: "failed",
      why: "did not arrive within 0.05 s",
    });
  });

  test("verifies a server with TLS, and never goes on in clear text", async () => {
    const { cert, key } = await makeCertificate();
    using clear = serve(() => new Response("clear"));
    using server = serve(
      ({ url }) => (url.endsWith("/down") ? Response.redirect(clear.url, 302) : new Response("ok")),
      {
        cert,
        key,
      },
    );
    expect(await fetchText({ ...order, url: server.url })).toMatchObject({ kind: "failed" });
    expect(await fetchText({ ...order, url: server.url, ca: [cert] })).toMatchObject({ kind: "content" });
    expect(await fetchText({ ...order, url: `${server.url}/down`, ca: [cert] })).toEqual({
      kind: "failed",
      why: "redirects from TLS to clear text",
    });
  });

  test("goes through no proxy of the environment", async () => {
    using proxy = serve(() => new Response("proxy"));
    using server = serve(() => new Response("origin"));
    const program = `import { fetchText } from ${JSON.stringify(`${import.meta.dir}/../../src/net/http/fetch-text.ts`)};
      const fetched = await fetchText({ url: ${JSON.stringify(server.origin)}, maxBytes: 99, ms: 5000 });
      console.log(fetched.kind === "content" ? Buffer.from(fetched.bytes).toString() : fetched.why);`;
    const variables = { http_proxy: proxy.origin, HTTP_PROXY: proxy.origin, all_proxy: proxy.origin, no_proxy: "" };
    await using child = Bun.spawn([process.execPath, "-e", program], { env: { ...process.env, ...variables } });
    expect(await new Response(child.stdout).text()).toBe("origin\n");
  });
});
