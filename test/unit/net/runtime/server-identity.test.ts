import { describe, expect, test } from "bun:test";
import { parseIp } from "../../../../src/address/ip.ts";
import { findIdentityFault } from "../../../../src/net/runtime/server-identity.ts";
import { makeNamedCertificate, san } from "../../../support/make-names.ts";

/** Whether a certificate with these alternative names, and this common name, is one of `name`. */
function isFor(name: string, presented: readonly string[], common?: string): boolean {
  const names = presented.map((each) => {
    const ip = each.startsWith("ip:") ? parseIp(each.slice(3)) : undefined;
    return ip === undefined ? ([san.dns, each] as const) : ([san.ip, ip.bytes] as const);
  });
  const certificate = makeNamedCertificate({
    ...(names.length > 0 && { alternative: [names] }),
    ...(common !== undefined && { common: [[0x0c, common]] }),
  });
  return findIdentityFault(certificate, name) === undefined;
}

describe("findIdentityFault()", () => {
  test.each([
    ["a.example", "a.example"],
    ["a.example", "A.Example"],
    ["A.EXAMPLE", "a.example"],
    ["a.example.", "a.example"],
    ["a.b.example", "*.b.example"],
    ["xn--bcher-kva.b.example", "*.b.example"],
    ["xn--bcher-kva.example", "xn--bcher-kva.example"],
    ["localhost", "localhost"],
    ["my_host.example", "my_host.example"],
    ["192.0.2.1", "ip:192.0.2.1"],
    ["2001:db8::1", "ip:2001:db8::1"],
  ])("%s is served by %s", (name, presented) => {
    expect(isFor(name, [presented])).toBeTrue();
    expect(isFor(name, ["other.example", presented])).toBeTrue();
  });

  test.each([
    ["foo.b.example", "f*.b.example", "parts of a label"],
    ["foo.b.example", "*o.b.example", "parts of a label"],
    ["foo.b.example", "f*o.b.example", "parts of a label"],
    ["xn--foo.b.example", "xn--*.b.example", "parts of a label"],
    ["a.b.example", "a.*.example", "a label in the middle"],
    ["a.b.example", "*.example", "more than a label"],
    ["b.example", "*.b.example", "no label"],
    ["example.com", "*.com", "everything below com"],
    ["example", "*", "everything"],
    ["a.b.example", "*.*.example", "two labels"],
    ["a.example", "a.example.", "a dot at the end of what is presented"],
    ["a.example", "", "nothing"],
    ["192.0.2.1", "192.0.2.1", "an address as a DNS name"],
    ["192.0.2.1", "*.0.2.1", "an address as a pattern"],
    ["192.0.2.1", "ip:192.0.2.2", "another address"],
    ["a.example", "ip:192.0.2.1", "an address"],
  ])("%s is not served by %s: %s", (name, presented) => {
    expect(isFor(name, [presented])).toBeFalse();
  });

  test("a common name does not count, whatever else there is, and that is said", () => {
    for (const presented of [[], ["other.example"], ["ip:192.0.2.1"]]) {
      expect(isFor("a.example", presented, "a.example")).toBeFalse();
      expect(isFor("a.example", presented, "*.example")).toBeFalse();
    }
    const certificate = makeNamedCertificate({ common: [[0x0c, "a.example"]] });
    expect(findIdentityFault(certificate, "a.example")).toBe(
      "is not for a.example: it has that as common name alone, and only subject alternative names count (RFC 9525)",
    );
    expect(findIdentityFault(certificate, "b.example")).toBe("is not for b.example");
  });

  test("a name ends where it ends, and not at a NUL", () => {
    expect(isFor("a.example", ["a.example\0.evil"])).toBeFalse();
    expect(isFor("a.example", ["a.example\0"])).toBeFalse();
  });

  test("what is no certificate is nobody's", () => {
    expect(findIdentityFault(new Uint8Array(3), "a.example")).toBe("is not for a.example");
  });
});
