import type { Runtime } from "../../src/proxy/runtime.ts";
import { RequestIds, Session } from "../../src/proxy/session.ts";
import { makeIp } from "./make-policy.ts";

/** A session that has just begun, with `facts` on top. Nothing that records sessions looks at their runtime. */
export function makeSession(facts: Partial<Session> = {}): Session {
  const connection = {
    client: makeIp("10.0.0.9"),
    clientPort: 50_123,
    certificate: undefined,
    listener: { name: "127.0.0.1:8080" },
    services: { ids: new RequestIds() },
  };
  const session = new Session(connection, {} as Runtime);
  return Object.defineProperties(session, Object.getOwnPropertyDescriptors(facts));
}
