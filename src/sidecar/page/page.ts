import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import type { Context, Hono } from "hono";
import { describe } from "../describe-route.ts";
import { answerProblem, refuseOtherMethods } from "../problem.ts";
import { takeQuery } from "../read-query.ts";
import type { PageFile } from "./bundle-page.ts";

/**
 * What the page may do: run its own script and ask its own sidecar. Nothing in it
 * can be made to run what a peer has named (https://www.w3.org/TR/trusted-types/).
 */
export const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const types: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
  woff2: "font/woff2",
};

/** A file that is ready to be sent. */
interface Served {
  readonly type: string;
  readonly gzip: Uint8Array<ArrayBuffer>;
  readonly etag: string;
}

const ENTRY = "page.html";

/** Serves the page at `/` and its files below `/page/`, without a token: there is no data in them. */
export function mountPage(app: Hono): void {
  let loading: Promise<ReadonlyMap<string, Served>> | undefined;
  // From source, the first request bundles the page.
  const load = (): Promise<ReadonlyMap<string, Served>> =>
    (loading ??= import("./built-page.ts").then(({ builtPage }) => new Map(builtPage.map(prepare))));
  app.get(
    "/",
    describe({ summary: "The page for people.", answer: "text/html", problems: [403] }),
    takeQuery(),
    async (context) => answerFile(context, (await load()).get(ENTRY), "no-cache"),
  );
  const file = describe({
    summary: "A file of the page.",
    answer: "text/javascript",
    also: { "text/css": undefined, "image/svg+xml": undefined, "font/woff2": undefined },
    problems: [403, 404],
  });
  app.get("/page/:name", file, takeQuery(), async (context) => {
    const name = context.req.param("name");
    // The names of all others change with their content.
    const found = name === ENTRY ? undefined : (await load()).get(name);
    return answerFile(context, found, "public, max-age=31536000, immutable");
  });
  refuseOtherMethods(app, "/", "GET, HEAD");
  refuseOtherMethods(app, "/page/:name", "GET, HEAD");
}

function prepare({ name, gzip }: PageFile): readonly [string, Served] {
  const bytes = new Uint8Array(Buffer.from(gzip, "base64"));
  const etag = `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`;
  const type = types[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream";
  return [name, { type, gzip: bytes, etag }];
}

function answerFile(context: Context, file: Served | undefined, caching: string): Response {
  if (file === undefined) return answerProblem(404, "There is nothing at this path.");
  const headers = {
    "Cache-Control": caching,
    "Content-Security-Policy": PAGE_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    ETag: file.etag,
    Vary: "Accept-Encoding",
  };
  // RFC 9110 §13.1.2: a weak comparison.
  const known = context.req.header("If-None-Match")?.split(",") ?? [];
  if (known.some((tag) => tag.trim().replace(/^W\//, "") === file.etag))
    return new Response(null, { status: 304, headers });
  const isTaken = acceptsGzip(context.req.header("Accept-Encoding"));
  return new Response(isTaken ? file.gzip : new Uint8Array(gunzipSync(file.gzip)), {
    headers: { ...headers, "Content-Type": file.type, ...(isTaken && { "Content-Encoding": "gzip" }) },
  });
}

/** RFC 9110 §12.5.3: `gzip` or `*`, unless its weight is 0. */
function acceptsGzip(field = ""): boolean {
  const weights = new Map(
    field
      .toLowerCase()
      .split(",")
      .map((part): [string, number] => {
        const [coding = "", weight] = part.split(";").map((text) => text.trim());
        return [coding, weight?.startsWith("q=") === true ? Number(weight.slice(2)) : 1];
      }),
  );
  return (weights.get("gzip") ?? weights.get("x-gzip") ?? weights.get("*") ?? 0) > 0;
}
