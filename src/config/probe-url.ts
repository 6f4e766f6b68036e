import { type Endpoint, parseAuthority } from "../address/endpoint.ts";
import { type Read, refuse } from "./problem.ts";

/** What a check by GET asks for. */
export interface ProbeUrl {
  readonly target: Endpoint;
  /** With its query; at least `/`. */
  readonly path: string;
}

/** Reads `http://host[:port]/path`. The URL class cannot: it rewrites addresses. */
export function parseProbeUrl(text: string): Read<ProbeUrl> {
  const match = /^http:\/\/([^/?#@\s]+)(\/[!-~]*)?$/i.exec(text);
  if (!match || text.includes("#"))
    return refuse('is no URL to ask for. Write one of plain HTTP, such as "http://example.org/"');
  const authority = match[1] ?? "";
  const parsed = parseAuthority(/:[^\]]*$/.test(authority) ? authority : `${authority}:80`);
  if (!parsed.ok) return refuse('has no host that can be asked. Write one such as "http://example.org/"');
  return { ok: true, value: { target: parsed.endpoint, path: match[2] ?? "/" } };
}
