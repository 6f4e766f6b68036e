import { STATUS_CODES } from "node:http";

/** Whether the body of a response is a stream: its route says so with `Transfer-Encoding: chunked`. */
export function isStream(response: Response): boolean {
  return response.body !== null && response.headers.get("Transfer-Encoding") === "chunked";
}

/** What the head depends on besides the response. */
export interface HeadContext {
  /** Bytes of the body; undefined for a stream. */
  readonly length: number | undefined;
  /** Whether a stream is sent in chunks; otherwise it ends with the connection. */
  readonly chunked: boolean;
  readonly keeps: boolean;
  readonly now: Date;
}

/** Writes the head of a response (RFC 9112 §4). */
export function writeResponseHead(response: Response, { length, chunked, keeps, now }: HeadContext): Uint8Array {
  const { status, headers } = response;
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`, `Date: ${now.toUTCString()}`];
  for (const [name, value] of headers) if (!own.has(name)) lines.push(`${name}: ${value}`);
  // RFC 9110 §8.6: no Content-Length with 204 or 304.
  if (length !== undefined && status !== 204 && status !== 304) lines.push(`Content-Length: ${length}`);
  if (chunked) lines.push("Transfer-Encoding: chunked");
  lines.push(`Connection: ${keeps ? "keep-alive" : "close"}`);
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
}

/** Fields that the server itself writes. */
const own: ReadonlySet<string> = new Set(["connection", "content-length", "date", "transfer-encoding"]);

/** One chunk of a body in chunks (RFC 9112 §7.1). */
export function writeChunk(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`, "latin1"), bytes, CRLF]);
}

const CRLF = Buffer.from("\r\n", "latin1");
export const LAST_CHUNK: Uint8Array = Buffer.from("0\r\n\r\n", "latin1");
