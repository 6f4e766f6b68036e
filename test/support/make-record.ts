import type { Runtime } from "../../src/proxy/runtime.ts";
import { RequestIds, RequestRecord } from "../../src/proxy/record/request-record.ts";
import { makeIp } from "./make-policy.ts";

/** The record of a request that has just begun, with `facts` on top. Nothing that records records looks at their runtime. */
export function makeRequestRecord(facts: Partial<RequestRecord> = {}): RequestRecord {
  const connection = {
    client: makeIp("10.0.0.9"),
    clientPort: 50_123,
    certificate: undefined,
    listener: { name: "127.0.0.1:8080" },
    services: { ids: new RequestIds() },
  };
  const record = new RequestRecord(connection, {} as Runtime);
  return Object.defineProperties(record, Object.getOwnPropertyDescriptors(facts));
}
