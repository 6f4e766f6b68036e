import { describe, expect, test } from "bun:test";
import { encodeFields, NO_FIELDS } from "../../../../src/protocol/http1/fields.ts";
import { frameRequest, frameResponse } from "../../../../src/protocol/http1/message-framing.ts";

// The cases are in the corpus; here are the rules that hold over all of them.

const codings = { name: "Transfer-Encoding", value: "chunked" };
const length = { name: "Content-Length", value: "5" };

describe("frameRequest()", () => {
  test("gives a request without framing fields no body, whatever its method", () => {
    for (const method of ["GET", "POST", "PUT", "OPTIONS", "CONNECT", "TRACE", "X"]) {
      for (const version of ["1.0", "1.1"] as const) {
        expect(frameRequest({ method, version, fields: NO_FIELDS })).toEqual({ kind: "none" });
      }
    }
  });

  test("knows CONNECT by its exact spelling", () => {
    const fields = encodeFields([length]);
    expect(frameRequest({ method: "connect", version: "1.1", fields })).toEqual({ kind: "length", length: 5 });
  });
});

describe("frameResponse()", () => {
  test("gives every status a defined end for every method", () => {
    for (let status = 100; status <= 999; status++) {
      for (const method of ["GET", "HEAD", "CONNECT", "POST"]) {
        const { kind } = frameResponse({ status, version: "1.1", fields: encodeFields([length]) }, method);
        const isTunnel = status === 101 || (method === "CONNECT" && status >= 200 && status < 300);
        const isBodiless = method === "HEAD" || status < 200 || status === 204 || status === 304;
        expect(kind).toBe(isTunnel ? "tunnel" : isBodiless ? "none" : "length");
      }
    }
  });

  test("refuses contradictory fields for every status but a 2xx to CONNECT", () => {
    const fields = encodeFields([length, codings]);
    for (let status = 100; status <= 999; status++) {
      expect(frameResponse({ status, version: "1.1", fields }, "HEAD")).toEqual({
        kind: "bad",
        code: "conflicting_framing",
      });
    }
    expect(frameResponse({ status: 200, version: "1.1", fields }, "CONNECT")).toEqual({ kind: "tunnel" });
  });
});
