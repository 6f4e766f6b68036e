import { describe, expect, test } from "bun:test";
import { describeAnswer } from "../../../../src/proxy/dial/http-upstream.ts";
import { parseResponseHead } from "../../../support/parse-head.ts";

function describeText(text: string): string {
  const parsed = parseResponseHead(Buffer.from(text, "latin1"), { maxBytes: 8192, maxFields: 10 });
  if (parsed.kind !== "done") throw new Error(parsed.kind);
  return describeAnswer(parsed.value);
}

describe("describeAnswer()", () => {
  test("gives status and reason", () => {
    expect(describeText("HTTP/1.1 403 Forbidden by policy\r\n\r\n")).toBe("403 Forbidden by policy");
    expect(describeText("HTTP/1.1 403 \r\n\r\n")).toBe("403");
  });

  test("keeps only what can be printed of the reason, and not much of it", () => {
    expect(describeText("HTTP/1.1 502 caf\xe9\tau lait\r\n\r\n")).toBe("502 caf??au lait");
    expect(describeText(`HTTP/1.1 502 ${"x".repeat(500)}\r\n\r\n`)).toHaveLength(84);
  });

  test("adds the error type of the nearest proxy's Proxy-Status", () => {
    const head = (value: string) => `HTTP/1.1 502 Bad Gateway\r\nProxy-Status: ${value}\r\n\r\n`;
    expect(describeText(head("a; error=dns_error"))).toBe("502 Bad Gateway (dns_error)");
    expect(describeText(head('a; error=dns_error, b;details="x"; error=connection_refused; next-hop=c'))).toBe(
      "502 Bad Gateway (connection_refused)",
    );
    expect(describeText(head("a; received-status=403"))).toBe("502 Bad Gateway");
    expect(describeText(head(`a; error=${"x".repeat(2000)}`))).toBe("502 Bad Gateway");
  });
});
