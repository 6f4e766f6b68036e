import { describe, expect, test } from "bun:test";
import { explainTlsError, readAlertName } from "../../../../src/net/runtime/tls-error.ts";

function makeError(code: string, message = code): Error {
  return Object.assign(new Error(message), { code });
}

describe("explainTlsError()", () => {
  test("names what is wrong with a certificate", () => {
    const notes: Record<string, string> = {
      CERT_HAS_EXPIRED: "the certificate has expired (CERT_HAS_EXPIRED)",
      CERT_NOT_YET_VALID: "the certificate is not valid yet (CERT_NOT_YET_VALID)",
      ERR_TLS_CERT_ALTNAME_INVALID: "the certificate is not for proxy.test",
      SELF_SIGNED_CERT_IN_CHAIN:
        "the certificate is signed by an authority that is not trusted (SELF_SIGNED_CERT_IN_CHAIN)",
      INVALID_PURPOSE: "the certificate does not verify (INVALID_PURPOSE)",
    };
    for (const [code, note] of Object.entries(notes)) {
      expect(explainTlsError(makeError(code), "proxy.test")).toEqual({ kind: "certificate", note });
    }
  });

  test("tells an alert by its name", () => {
    const message = "error:1000042e:SSL routines:OPENSSL_internal:TLSV1_ALERT_PROTOCOL_VERSION";
    expect(explainTlsError(makeError("EPROTO", message), "x")).toEqual({ kind: "alert", note: "protocol_version" });
  });

  test("tells what is no TLS, and a connection that just ended", () => {
    const message = "error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER";
    expect(explainTlsError(makeError("EPROTO", message), "x")).toEqual({
      kind: "protocol",
      note: "wrong_version_number",
    });
    for (const error of [undefined, makeError("ECONNRESET")]) {
      expect(explainTlsError(error, "x").kind).toBe("protocol");
    }
  });
});

test("readAlertName() reads the alerts of all versions", () => {
  expect(readAlertName(new Error("x:SSLV3_ALERT_HANDSHAKE_FAILURE"))).toBe("handshake_failure");
  expect(readAlertName(new Error("x:TLSV1_ALERT_CERTIFICATE_REQUIRED"))).toBe("certificate_required");
  expect(readAlertName(new Error("x:WRONG_VERSION_NUMBER"))).toBeUndefined();
});
