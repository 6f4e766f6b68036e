import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { resolve } from "node:path";
import { describeReadError } from "../config/read-file.ts";
import { fetchText } from "../net/http/fetch-text.ts";
import { type Outcome, done, refuse } from "./refusal.ts";

/** Where a file comes from. */
export type Origin =
  | { readonly kind: "file"; readonly path: string; readonly text: string }
  /** `text` is without user, password and query, which may be secrets. */
  | { readonly kind: "url"; readonly url: URL; readonly text: string };

/** Reads what `--from` names: a path, or a URL with `https`. */
export function readOrigin(text: string, folder: string): Outcome<Origin> {
  if (!/^[a-z][a-z\d+.-]*:\/\//i.test(text)) {
    const path = resolve(folder, text);
    return done({ kind: "file", path, text: path });
  }
  if (!URL.canParse(text) || new URL(text).protocol !== "https:")
    return refuse("arguments", "--from is neither the path of a file nor a URL with https://.");
  const url = new URL(text);
  return done({ kind: "url", url, text: `${url.origin}${url.pathname}` });
}

/** The same with something added to its name: where its signature is. */
export function addSuffix(origin: Origin, suffix: string): Origin {
  if (origin.kind === "file") return { kind: "file", path: `${origin.path}${suffix}`, text: `${origin.text}${suffix}` };
  const url = new URL(origin.url);
  url.pathname += suffix;
  return { kind: "url", url, text: `${origin.text}${suffix}` };
}

/** The name of the file without folders. */
export function nameOrigin({ text }: Origin): string {
  return text.slice(text.lastIndexOf("/") + 1);
}

interface Bounds {
  readonly maxBytes: number;
  readonly ms: number;
  /** PEM of the only roots to trust. */
  readonly ca: readonly string[] | undefined;
  /** Hears how much of a URL has come. */
  readonly onBytes?: ((bytes: number, total: number | undefined) => void) | undefined;
}

/** Reads all of it. `reason` of a refusal is a whole sentence. */
export async function obtain(origin: Origin, { maxBytes, ms, ca, onBytes }: Bounds): Promise<Outcome<Buffer>> {
  if (origin.kind === "file") return readWhole(origin.path, maxBytes);
  const order = { url: origin.url.href, maxBytes, ms, accept: "application/octet-stream, */*;q=0.5" };
  const fetched = await fetchText({ ...order, ...(ca && { ca }), ...(onBytes && { onBytes }) });
  if (fetched.kind === "content")
    return done(Buffer.from(fetched.bytes.buffer, fetched.bytes.byteOffset, fetched.bytes.length));
  return refuse("fetch", `${origin.text} ${fetched.kind === "failed" ? fetched.why : "has no content"}.`);
}

/** A regular file: a named pipe would make it wait, a device has no end. */
async function readWhole(path: string, maxBytes: number): Promise<Outcome<Buffer>> {
  try {
    await using file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const found = await file.stat();
    if (!found.isFile()) return refuse("fetch", `${path} is not a regular file.`);
    if (found.size > maxBytes) return refuse("fetch", `${path} is larger than ${maxBytes / 1024 / 1024} MiB.`);
    return done(await file.readFile());
  } catch (error) {
    return refuse("fetch", `Cannot read ${path}: ${describeReadError(error)}.`);
  }
}
