import { describe, expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import type { ControlPort } from "../../../../src/sidecar/control-port.ts";
import { builtPage } from "../../../../src/sidecar/page/built-page.ts";
import { PAGE_POLICY } from "../../../../src/sidecar/page/page.ts";
import { createSidecarApp } from "../../../../src/sidecar/sidecar-app.ts";
import { grantAll } from "../../../support/sidecar-tokens.ts";

const port: ControlPort = {
  readiness: () => ({ ready: true }),
  effectiveConfig: () => ({}),
  metricsText: () => "",
  tunnels: () => [],
  kill: () => 0,
};
const app = createSidecarApp(port, { tokens: grantAll("secret"), allowedHosts: [] });

/** Bytes that the page and its files have on the wire. */
const MOST_BYTES = 100_000;

function names(html: string): string[] {
  return [...html.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, path = ""]) => path);
}

describe("GET /", () => {
  test("serves the page without a token, and says what it may do", async () => {
    const response = await app.request("/");
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Type")).toBe("text/html; charset=utf-8");
    expect(response.headers.get("Content-Security-Policy")).toBe(PAGE_POLICY);
    expect(response.headers.get("X-Content-Type-Options")).toBe("nosniff");
    expect(response.headers.get("Referrer-Policy")).toBe("no-referrer");
    expect(response.headers.get("Cache-Control")).toBe("no-cache");
  });

  test("names only files of its own, which are all there and never change", async () => {
    const paths = names(await (await app.request("/")).text());
    expect(paths.map((path) => path.slice(path.lastIndexOf(".") + 1)).sort()).toEqual(["css", "js", "svg"]);
    for (const path of paths) {
      expect(path).toMatch(/^\/page\/[a-z]+-[a-z0-9]+\.(?:css|js|svg)$/);
      const response = await app.request(path);
      expect(response.status).toBe(200);
      expect(response.headers.get("Cache-Control")).toBe("public, max-age=31536000, immutable");
    }
  });

  test("has a font of the name that its style sheet has", async () => {
    const [style = ""] = names(await (await app.request("/")).text()).filter((path) => path.endsWith(".css"));
    const fonts = [...(await (await app.request(style)).text()).matchAll(/url\("?(\/page\/[^")]+)"?\)/g)];
    expect(fonts).toHaveLength(1);
    const font = await app.request(fonts[0]?.[1] ?? "");
    expect(font.headers.get("Content-Type")).toBe("font/woff2");
    expect(Buffer.from(await font.arrayBuffer()).toString("latin1", 0, 4)).toBe("wOF2");
  });

  test("has less than 100 kB in all, and no address of another host", () => {
    const files = builtPage.map(({ gzip }) => Buffer.from(gzip, "base64"));
    expect(files.reduce((sum, { length }) => sum + length, 0)).toBeLessThan(MOST_BYTES);
    const text = files.map((file) => gunzipSync(file).toString("latin1")).join("\n");
    const hosts = [...text.matchAll(/\bhttps?:\/\/([a-z0-9.-]+)/g)].map(([, host]) => host);
    // The name spaces of XML, and the origin of the font in a comment.
    expect(hosts.filter((host) => host !== "www.w3.org" && host !== "github.com")).toEqual([]);
  });

  test("compresses for those who take gzip, and for nobody else", async () => {
    const [taken, plain, refused] = await Promise.all(
      ["br, gzip;q=0.5", "br", "gzip;q=0, *;q=1"].map((field) =>
        app.request("/", { headers: { "Accept-Encoding": field } }),
      ),
    );
    expect(taken?.headers.get("Content-Encoding")).toBe("gzip");
    expect([plain, refused].map((response) => response?.headers.get("Content-Encoding"))).toEqual([null, null]);
    const whole = await plain?.text();
    expect(gunzipSync((await taken?.bytes()) ?? "").toString()).toBe(whole ?? "");
    expect(await refused?.text()).toBe(whole ?? "");
    expect(taken?.headers.get("Vary")).toBe("Accept-Encoding");
  });

  test("says that nothing has changed to who has it", async () => {
    const etag = (await app.request("/")).headers.get("ETag") ?? "";
    for (const field of [etag, `"other", W/${etag}`]) {
      const response = await app.request("/", { headers: { "If-None-Match": field } });
      expect([response.status, await response.text()]).toEqual([304, ""]);
      expect(response.headers.get("Content-Security-Policy")).toBe(PAGE_POLICY);
    }
    expect((await app.request("/", { headers: { "If-None-Match": '"other"' } })).status).toBe(200);
  });

  test("refuses a token in the URL, other methods, and names that only a hostile page uses", async () => {
    expect((await app.request("/?token=secret")).status).toBe(400);
    expect((await app.request("/", { method: "POST" })).status).toBe(405);
    expect((await app.request("/", { headers: { Host: "rebound.example" } })).status).toBe(403);
  });

  test.each(["/page/none.js", "/page/page.html", "/page/..%2fpage.html", "/page/"])(
    "has nothing at %s",
    async (path) => {
      const response = await app.request(path);
      expect(response.status).toBe(404);
      expect(response.headers.get("Content-Security-Policy")).toBe("default-src 'none'; frame-ancestors 'none'");
      expect(response.headers.get("Cache-Control")).toBe("no-store");
    },
  );
});
