import type { Conn } from "../../net/conn.ts";
import { readMessage } from "../../net/read-message.ts";
import { createRequestHeadParser, type RequestHeadError } from "../../protocol/http1/request-head.ts";
import { fail, type FailureDetail, type Outcome } from "../failure.ts";
import type { Session } from "../session.ts";
import { readTunnelRequest, type TunnelRequest } from "./tunnel-request.ts";

/**
 * Reads the first request of a client, under a deadline and a cap. Every byte
 * after it stays with the connection, for the target, after the dial.
 */
export async function readRequest(session: Session, client: Conn): Promise<Outcome<TunnelRequest>> {
  const { limits, timeouts } = session.runtime;
  session.protocol = "http";

  const parser = createRequestHeadParser({ maxBytes: limits.headBytes, maxFields: limits.headFields });
  const read = await readMessage(client, (bytes) => parser.parse(bytes), {
    deadlineMs: timeouts.handshakeMs,
    maxBytes: limits.headBytes + 1,
  });
  switch (read.kind) {
    case "done": {
      const head = read.value;
      session.method = head.method;
      if (head.method !== "CONNECT") return fail("method_not_supported", { note: head.method });
      const request = readTunnelRequest(head);
      if (request.ok) session.target = request.value.target;
      return request;
    }
    case "bad":
      return fail(judgeHeadError(read.code), { note: read.code });
    case "too_large":
      return fail("head_too_large");
    case "timeout":
      return fail("handshake_timeout");
    case "closed":
      // A client that sent FIN may still read: tell it that what it sent is not a request.
      if (read.reset || read.received === 0) return fail("client_gone");
      return fail("malformed_request", { note: "the request ended in the middle of its head" });
    default:
      return read satisfies never;
  }
}

function judgeHeadError(code: RequestHeadError): FailureDetail {
  switch (code) {
    case "head_too_large":
    case "too_many_fields":
    case "request_line_too_long":
      return "head_too_large";
    case "version_not_supported":
      return "version_not_supported";
    default:
      return "malformed_request";
  }
}
