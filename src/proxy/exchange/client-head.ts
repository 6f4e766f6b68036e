import { CONTENT_LENGTH, DATE, PROXY_SUPPORT, UPGRADE } from "../../protocol/http1/field-names.ts";
import { bitOf, type Fields } from "../../protocol/http1/fields.ts";
import { editFields } from "../../protocol/http1/edit-fields.ts";
import type { ResponseEdits } from "../policy/message-edits.ts";
import { type HopByHopError, stripHopByHop } from "../../protocol/http1/hop-by-hop.ts";
import { canonicaliseLength } from "../../protocol/http1/message-framing.ts";
import type { ResponseHead } from "../../protocol/http1/response-head.ts";
import type { OwnLines } from "./own-lines.ts";
import { ForwardedHead, type HeadToWrite } from "./head-to-write.ts";

export interface ClientHeadOptions {
  readonly via: string;
  readonly lines: OwnLines;
  /** The body goes on in chunks, or would (RFC 9112 §6.1 lets HEAD and 304 say so). */
  readonly chunked: boolean;
  /** The client's connection ends after this response. */
  readonly close: boolean;
  /** The origin asks for credentials that are the connection's: whoever logs in has that connection alone (RFC 4559 §6). */
  readonly bound: boolean;
  /** Undefined when the rule changes nothing. */
  readonly edits: ResponseEdits | undefined;
  /** The line that says why the request would have been refused; undefined when it would not. */
  readonly reported?: string | undefined;
}

/**
 * Writes the head of the response that goes to the client: in version 1.1
 * whatever the origin speaks (RFC 9110 §6.2), without what was for our
 * connection to the origin only. What need not be written anew goes on as it came.
 */
export function formatClientHead(head: ResponseHead, options: ClientHeadOptions): HeadToWrite | HopByHopError {
  const { status, version, exactLine } = head;
  const { via, lines } = options;
  // RFC 9110 §8.6: neither 1xx nor 204 has a length.
  const isBare = status < 200 || status === 204;
  const dropped = isBare ? bitOf(CONTENT_LENGTH) : options.bound ? bitOf(PROXY_SUPPORT) : 0;
  const stripped = stripHopByHop(head.fields, dropped);
  if (stripped.kind === "bad") return stripped.code;
  const canonical = canonicaliseLength(stripped.fields);
  const { edits } = options;
  const fields = edits === undefined ? canonical : editResponse(canonical, status, edits);
  let own = options.chunked && !isBare ? "Transfer-Encoding: chunked\r\n" : "";
  // RFC 9110 §7.8: to switch protocols, or to ask for it, is between neighbours, so we say it anew.
  if (status === 101 || status === 426) own += formatUpgrade(head.fields, options.close);
  else if (options.bound) own += formatBound(options.close);
  else if (options.close) own += "Connection: close\r\n";
  if (options.reported !== undefined && (status >= 200 || status === 101)) own += options.reported;
  // RFC 9110 §6.6.1: who forwards a response that has no Date gives it one.
  const end = status >= 200 && !fields.has(DATE) ? lines.dated(version, via) : lines.undated(version, via);
  const isAsItCame = exactLine > 0 && fields.octets === head.fields.octets;
  return new ForwardedHead(isAsItCame ? exactLine : `HTTP/1.1 ${status} ${head.reason}\r\n`, fields, own, end);
}

function editResponse(fields: Fields, status: number, { fields: edits, interim }: ResponseEdits): Fields {
  const edited = editFields(fields, status < 200 && status !== 101 ? interim : edits);
  if (edited === undefined) throw new Error("Only exchanged texts are limited, and responses have none");
  return edited;
}

function formatBound(close: boolean): string {
  return `Proxy-Support: Session-Based-Authentication\r\nConnection: ${close ? "close, " : ""}Proxy-Support\r\n`;
}

function formatUpgrade(fields: Fields, close: boolean): string {
  const protocols = fields.getAll(UPGRADE).join(", ");
  const options = [...(protocols === "" ? [] : ["Upgrade"]), ...(close ? ["close"] : [])];
  const line = options.length === 0 ? "" : `Connection: ${options.join(", ")}\r\n`;
  return protocols === "" ? line : `${line}Upgrade: ${protocols}\r\n`;
}
