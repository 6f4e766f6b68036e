import type { Conn } from "../../net/conn/conn.ts";
import { parseRequestHead } from "../../protocol/http1/request-head.ts";
import type { Failure } from "../failure.ts";
import { readForwardRequest } from "../handshake/forward-request.ts";
import { limitHeads } from "../handshake/limit-heads.ts";
import type { Services } from "../services.ts";
import type { Begun } from "./begun.ts";
import { forward } from "./forward.ts";

/** Brings a request that was begun to its end. `kept` when another one may follow. */
export async function carryOn(begun: Begun, client: Conn, services: Services): Promise<Failure | "kept" | "ended"> {
  const { session, head } = begun;
  const { decision, route, runtime } = session;
  const parsed = parseRequestHead(head, limitHeads(runtime.limits));
  const request = parsed.kind === "done" ? readForwardRequest(parsed.value) : undefined;
  if (parsed.kind !== "done" || request?.ok !== true || decision?.verdict !== "allow" || route === undefined)
    throw new Error("A request was begun that is not well-formed or has no way");
  session.requestHead = parsed.value;
  const end = await forward(session, client, request.value, { decision }, route, services, begun);
  if (end.kind === "failed") return end.failure;
  return end.kind === "kept" ? "kept" : "ended";
}
