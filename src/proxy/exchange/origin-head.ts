import { type Endpoint, formatEndpoint, formatHost } from "../../address/endpoint.ts";
import type { Ip } from "../../address/ip.ts";
import { MAX_FORWARDS, TRACEPARENT } from "../../protocol/http1/field-names.ts";
import { withValue } from "../../protocol/http1/fields.ts";
import type { ForwardRequest } from "../read/forward-request.ts";
import type { ForwardedFor, ForwardSettings } from "./forward-settings.ts";
import { ForwardedHead, type HeadToWrite } from "./head-to-write.ts";
import { hasOddContent } from "./repeats.ts";
import { formatVia } from "./via.ts";

/** What the head that goes out depends on, besides the request. */
export interface OriginHeadOptions {
  readonly client: Ip;
  /** Whether the client spoke TLS to us. */
  readonly clientEncrypted: boolean;
  readonly settings: Pick<ForwardSettings, "via" | "forwardedFor" | "originIdleMs">;
  /** To an upstream proxy that is to go on forwarding: the target whole, and our credentials there. */
  readonly absolute: { readonly authorization: string | undefined } | undefined;
  /** In the place of the client's, where its trace goes on here. */
  readonly traceparent?: string | undefined;
}

/**
 * Writes the head of the request that goes to the next hop, of text and octets. All
 * of its parts have passed the parser, so that none can break out of its line.
 */
export function formatOriginHead(request: ForwardRequest, options: OriginHeadOptions): HeadToWrite {
  const { head, framing, maxForwards } = request;
  const authority = formatAuthority(request.scheme, request.target);
  const before = `${head.method} ${options.absolute === undefined ? request.path : formatAbsoluteTarget(request)} HTTP/1.1\r\nHost: ${authority}\r\n`;
  const counted =
    maxForwards === undefined ? request.fields : withValue(request.fields, MAX_FORWARDS, String(maxForwards - 1));
  const { traceparent } = options;
  const fields = traceparent === undefined ? counted : withValue(counted, TRACEPARENT, traceparent);
  let text = framing.kind === "chunked" ? "Transfer-Encoding: chunked\r\n" : "";
  // Nothing is to be read after content that was not expected.
  text += formatConnection(request, options.settings.originIdleMs > 0 && !hasOddContent(request));
  if (options.absolute?.authorization !== undefined) {
    text += `Proxy-Authorization: ${options.absolute.authorization}\r\n`;
  }
  return new ForwardedHead(before, fields, text + formatHeadEnd(head.version, options));
}

/** The last lines of every such head: what we say of the client and of ourselves, and the empty line. */
export function formatHeadEnd(
  version: "1.0" | "1.1",
  options: Omit<OriginHeadOptions, "absolute" | "traceparent">,
): string {
  const { forwardedFor, via } = options.settings;
  const forwarded = forwardedFor === "off" ? "" : formatForwarded(forwardedFor, options);
  return `${forwarded}Via: ${formatVia(version, via)}\r\n\r\n`;
}

/** As Host has it: the port is left out where the scheme implies it (RFC 9110 §7.2, §4.2.3). */
export function formatAuthority(scheme: "http" | "https", target: Endpoint): string {
  return target.port === (scheme === "https" ? 443 : 80) ? formatHost(target.host) : formatEndpoint(target);
}

/** The target of a request as an upstream proxy gets it: in absolute-form. */
export function formatAbsoluteTarget({ path, scheme, target }: ForwardRequest): string {
  // RFC 9112 §3.2.4: the last proxy makes the asterisk of it.
  return `${scheme}://${formatAuthority(scheme, target)}${path === "*" ? "" : path}`;
}

function formatConnection({ upgrade, takesTrailers }: ForwardRequest, keep: boolean): string {
  const options: string[] = [];
  let text = "";
  if (upgrade !== undefined) {
    options.push("Upgrade");
    text += `Upgrade: ${upgrade}\r\n`;
  }
  if (takesTrailers) {
    options.push("TE");
    text += "TE: trailers\r\n";
  }
  if (!keep) options.push("close");
  return options.length === 0 ? text : `Connection: ${options.join(", ")}\r\n${text}`;
}

function formatForwarded(
  form: Exclude<ForwardedFor, "off">,
  { client, clientEncrypted }: Pick<OriginHeadOptions, "client" | "clientEncrypted">,
): string {
  let text = "";
  if (form !== "x-forwarded-for") {
    // RFC 7239 §6: IPv6 in brackets and quotes.
    const node = client.family === 6 ? `"[${client.text}]"` : client.text;
    text += `Forwarded: for=${node};proto=${clientEncrypted ? "https" : "http"}\r\n`;
  }
  return form === "forwarded" ? text : `${text}X-Forwarded-For: ${client.text}\r\n`;
}
