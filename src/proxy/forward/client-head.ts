import { type Fields, getAll, hasField, withoutFields } from "../../protocol/http1/fields.ts";
import { stripHopByHop } from "../../protocol/http1/hop-by-hop.ts";
import { canonicaliseLength } from "../../protocol/http1/message-framing.ts";
import type { PlainResponse } from "../../protocol/http1/plain-response.ts";
import type { ResponseHead } from "../../protocol/http1/response-head.ts";
import { formatLines } from "./origin-head.ts";
import { formatVia } from "./via.ts";

export interface ClientHeadOptions {
  readonly via: string;
  /** The body goes on in chunks, or would (RFC 9112 §6.1 lets HEAD and 304 say so). */
  readonly chunked: boolean;
  /** The client's connection ends after this response. */
  readonly close: boolean;
  /** The origin asks for credentials that are the connection's: whoever logs in has that connection alone (RFC 4559 §6). */
  readonly bound: boolean;
}

export type ClientHead = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly code: string };

/**
 * Writes the head of the response that goes to the client, as latin1 text: in
 * version 1.1 whatever the origin speaks (RFC 9110 §6.2), without what was for
 * our connection to the origin only.
 */
export function formatClientHead(head: ResponseHead, options: ClientHeadOptions): ClientHead {
  const stripped = stripHopByHop(head.fields);
  if (stripped.kind === "bad") return { ok: false, code: stripped.code };
  const { status } = head;
  // RFC 9110 §8.6: neither 1xx nor 204 has a length.
  const isBare = status < 200 || status === 204;
  const dropped = isBare ? "content-length" : options.bound ? "proxy-support" : undefined;
  const fields = canonicaliseLength(dropped === undefined ? stripped.fields : withoutFields(stripped.fields, dropped));
  let text = `HTTP/1.1 ${status} ${head.reason}\r\n${formatLines(fields)}`;
  if (options.chunked && !isBare) text += "Transfer-Encoding: chunked\r\n";
  // RFC 9110 §7.8: to switch protocols, or to ask for it, is between neighbours, so we say it anew.
  if (status === 101 || status === 426) text += formatUpgrade(head.fields, options.close);
  else if (options.bound) text += formatBound(options.close);
  else if (options.close) text += "Connection: close\r\n";
  // RFC 9110 §6.6.1: who forwards a response that has no Date gives it one.
  if (status >= 200 && !hasField(fields, "date")) text += `Date: ${formatNow()}\r\n`;
  return { ok: true, text: `${text}Via: ${formatVia(head.version, options.via)}\r\n\r\n` };
}

/** Writes what follows the octets of a plain response that go on: what we say ourselves, and the empty line. */
export function formatPlainTail(
  { length, dated }: PlainResponse,
  { via, close }: Pick<ClientHeadOptions, "via" | "close">,
): string {
  const framing = length < 0 ? "Transfer-Encoding: chunked\r\n" : "";
  const connection = close ? "Connection: close\r\n" : "";
  const date = dated ? "" : `Date: ${formatNow()}\r\n`;
  return framing + connection + date + formatEnd(via);
}

let endVia = "";
let endText = "";

/** The last lines of a head that came in version 1.1: nearly always the same ones. */
function formatEnd(via: string): string {
  if (via !== endVia) {
    endVia = via;
    endText = `Via: ${formatVia("1.1", via)}\r\n\r\n`;
  }
  return endText;
}

function formatBound(close: boolean): string {
  return `Proxy-Support: Session-Based-Authentication\r\nConnection: ${close ? "close, " : ""}Proxy-Support\r\n`;
}

function formatUpgrade(fields: Fields, close: boolean): string {
  const protocols = getAll(fields, "upgrade").join(", ");
  const options = [...(protocols === "" ? [] : ["Upgrade"]), ...(close ? ["close"] : [])];
  const line = options.length === 0 ? "" : `Connection: ${options.join(", ")}\r\n`;
  return protocols === "" ? line : `${line}Upgrade: ${protocols}\r\n`;
}

let dateSecond = -1;
let dateText = "";

/** An IMF-fixdate (RFC 9110 §5.6.7), made once a second. */
function formatNow(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = new Date(second * 1000).toUTCString();
  }
  return dateText;
}
