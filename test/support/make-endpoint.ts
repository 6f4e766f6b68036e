import { type Endpoint, parseAuthority } from "../../src/address/endpoint.ts";

/** The endpoint that `text` (`host:port`) spells; a test that misspells it fails. */
export function makeEndpoint(text: string): Endpoint {
  const result = parseAuthority(text);
  if (!result.ok) throw new Error(`${text}: ${result.code}`);
  return result.endpoint;
}
