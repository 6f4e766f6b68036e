import { AUTHORIZATION, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING } from "./field-names.ts";
import { hasToken } from "./field-lists.ts";
import type { Fields } from "./fields.ts";
import type { ResponseFraming } from "./message-framing.ts";
import type { RequestHead } from "./request-head.ts";
import type { ResponseHead } from "./response-head.ts";

/**
 * Tells whether the client's connection may carry another request after this one
 * (RFC 9112 §9.3). A proxy does not keep the connection of an HTTP/1.0 client,
 * even if it asks for that.
 */
export function allowsNextRequest(head: Pick<RequestHead, "version" | "fields">): boolean {
  return head.version === "1.1" && !hasToken(head.fields, CONNECTION, "close");
}

/**
 * Tells whether the origin's connection may carry another exchange after this
 * response (RFC 9112 §9.3). No when the body ends with the connection, and no
 * when a response without a body claims one: its bytes would be taken for the
 * beginning of the next response.
 */
export function allowsNextResponse(
  head: Pick<ResponseHead, "status" | "version" | "fields">,
  framing: ResponseFraming,
): boolean {
  if (framing.kind !== "none" && framing.kind !== "length" && framing.kind !== "chunked") return false;
  if ((head.status < 200 || head.status === 204) && claimsBody(head)) return false;
  if (hasToken(head.fields, CONNECTION, "close")) return false;
  return head.version === "1.1" || hasToken(head.fields, CONNECTION, "keep-alive");
}

function claimsBody(head: Pick<ResponseHead, "fields">): boolean {
  if (head.fields.has(TRANSFER_ENCODING)) return true;
  const length = head.fields.getOne(CONTENT_LENGTH);
  return length.kind === "many" || (length.kind === "one" && Number(length.value) !== 0);
}

/** Tells whether a request shows credentials of NTLM or Negotiate, which are the connection's (RFC 4559 §4.1). */
export function showsConnectionAuth(fields: Fields): boolean {
  return (
    fields.has(AUTHORIZATION) && fields.getAll(AUTHORIZATION).some((value) => /^(?:ntlm|negotiate)\b/i.test(value))
  );
}
