import { STATUS_CODES } from "node:http";
import type { Field } from "../../protocol/http1/fields.ts";
import { writeResponseHead } from "../../protocol/http1/write-head.ts";

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

/** Writes the head of a response, with the fields that the server itself knows. */
export function formatHead(response: Response, { length, chunked, keeps, now }: HeadContext): Uint8Array {
  const { status } = response;
  const fields: Field[] = [{ name: "Date", value: now.toUTCString() }];
  for (const [name, value] of response.headers) if (!own.has(name)) fields.push({ name, value });
  // RFC 9110 §8.6: no Content-Length with 204 or 304.
  if (length !== undefined && status !== 204 && status !== 304)
    fields.push({ name: "Content-Length", value: String(length) });
  if (chunked) fields.push({ name: "Transfer-Encoding", value: "chunked" });
  fields.push({ name: "Connection", value: keeps ? "keep-alive" : "close" });
  return writeResponseHead({ status, reason: STATUS_CODES[status] ?? "", fields });
}

/** Writes the head that changes to another protocol. `Upgrade` is among the fields. */
export function formatSwitch(fields: Readonly<Record<string, string>>, now: Date): Uint8Array {
  const all = { Date: now.toUTCString(), Connection: "Upgrade", ...fields };
  return writeResponseHead({
    status: 101,
    reason: STATUS_CODES[101] ?? "",
    fields: Object.entries(all).map(([name, value]) => ({ name, value })),
  });
}

/** Fields that the server itself writes. */
const own: ReadonlySet<string> = new Set(["connection", "content-length", "date", "transfer-encoding"]);
