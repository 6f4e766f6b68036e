import { describe, expect, test } from "bun:test";
import { describeFailure, listFailureDetails } from "../../../../src/proxy/failure.ts";
import { writeReasonPhrase } from "../../../../src/proxy/read/reason-phrase.ts";

describe("writeReasonPhrase()", () => {
  test("gives every reason one short clause of printable ASCII, and no two the same", () => {
    const phrases = listFailureDetails().map((detail) => writeReasonPhrase({ detail }, undefined));
    for (const phrase of phrases) {
      expect(phrase).toMatch(/^[A-Z][ -~]{5,110}$/);
      expect(phrase).not.toMatch(/[.:]$/);
    }
    expect(new Set(phrases).size).toBe(phrases.length);
  });

  test("names the rule that denies, and no other", () => {
    expect(writeReasonPhrase({ detail: "denied_by_rule" }, "no-mail")).toBe("Denied by rule no-mail");
    expect(writeReasonPhrase({ detail: "denied_by_rule" }, undefined)).toBe("Denied by rule");
    expect(writeReasonPhrase({ detail: "dns_error" }, "no-mail")).toBe("Name does not resolve");
  });

  test("lets no name of a rule end the line, colour a terminal or fill the head", () => {
    const phrase = writeReasonPhrase(
      { detail: "denied_by_rule" },
      `a\r\nSet-Cookie: b\x1b[31m\u202eü${"x".repeat(500)}`,
    );
    expect(phrase).toStartWith("Denied by rule a??Set-Cookie: b?[31m??xxx");
    expect(phrase).toHaveLength("Denied by rule ".length + 60);
  });

  test("repeats nothing of a note that a peer may have had a part in", () => {
    for (const detail of listFailureDetails()) {
      const plain = writeReasonPhrase({ detail }, undefined);
      expect(writeReasonPhrase({ detail, note: "EVIL\r\nSet-Cookie: x" }, undefined)).toBe(plain);
      expect(writeReasonPhrase({ detail, nextHop: "EVIL" }, undefined)).not.toContain("EVIL");
    }
  });

  test("blames an upstream that failed, and not the target or a next hop", () => {
    const aboutPeers = listFailureDetails().filter((detail) =>
      ["destination", "upstream"].includes(describeFailure(detail).blame),
    );
    for (const detail of aboutPeers) {
      const phrase = writeReasonPhrase({ detail, nextHop: "corp" }, undefined);
      expect(phrase).toMatch(/upstream proxy/i);
      expect(phrase).not.toMatch(/target|next hop/i);
      expect(phrase).toMatch(/^[A-Z][ -~]{5,70}$/);
    }
    expect(writeReasonPhrase({ detail: "connection_refused" }, undefined)).toBe("Target refused the connection");
  });

  test("blames the target for what an upstream reports of it, and the next upstream in a chain", () => {
    const reported = { detail: "address_unroutable", nextHop: "corp", isReported: true } as const;
    expect(writeReasonPhrase(reported, undefined)).toBe("No route to the target");
    expect(writeReasonPhrase({ ...reported, culprit: "exits" }, undefined)).toBe("No route to the upstream proxy");
  });

  test("says which of TLS and HTTP is not spoken here", () => {
    const note = "the client speaks TLS, this listener does not";
    expect(writeReasonPhrase({ detail: "protocol_not_served", note }, undefined)).toBe(
      "The client speaks TLS, this listener does not",
    );
  });
});
