import { parseIp } from "../../src/address/ip.ts";
import type { Runtime } from "../../src/proxy/runtime.ts";
import { openSession, type Session } from "../../src/proxy/session.ts";

/** A session that has just begun, with `facts` on top. Nothing that records sessions looks at their runtime. */
export function makeSession(facts: Partial<Session> = {}): Session {
  const client = parseIp("10.0.0.9");
  if (client === undefined) throw new Error("10.0.0.9 is an address");
  const session = openSession({} as Runtime, client, 50_123, "127.0.0.1:8080");
  return Object.defineProperties(session, Object.getOwnPropertyDescriptors(facts));
}
