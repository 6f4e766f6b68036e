import { PROXY_SUPPORT, TRANSFER_ENCODING, WWW_AUTHENTICATE } from "../../protocol/http1/field-names.ts";
import type { ResponseFraming } from "../../protocol/http1/message-framing.ts";
import type { ResponseHead, ResponseHeadError } from "../../protocol/http1/response-head.ts";
import type { FailureDetail } from "../failure.ts";

/** Whether the response says that its body is chunked, also where it has none (RFC 9112 §6.1). */
export function saysChunked({ fields }: ResponseHead, framing: ResponseFraming): boolean {
  return framing.kind === "chunked" || (framing.kind === "none" && fields.has(TRANSFER_ENCODING));
}

/** Whether the origin asks for credentials of a scheme that logs in a connection and not a request. */
export function asksForConnectionAuth({ status, fields }: ResponseHead): boolean {
  return (
    status === 401 && fields.getAll(WWW_AUTHENTICATE).some((value) => /(?:^|,)\s*(?:ntlm|negotiate)\b/i.test(value))
  );
}

/** Whether an upstream keeps the connection to the origin for this client (RFC 4559 §6). */
export function supportsConnectionAuth({ fields }: ResponseHead): boolean {
  return fields.getAll(PROXY_SUPPORT).some((value) => /(?:^|,)\s*session-based-authentication\b/i.test(value));
}

export function judgeHeadError(code: ResponseHeadError): FailureDetail {
  switch (code) {
    case "head_too_large":
    case "too_many_fields":
    case "status_line_too_long":
      return "response_head_too_large";
    default:
      return "bad_response";
  }
}
