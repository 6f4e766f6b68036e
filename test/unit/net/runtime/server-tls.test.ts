import { beforeAll, describe, expect, test } from "bun:test";
import { createServerTls, type ServerCertificate, type ServerTls } from "../../../../src/net/runtime/server-tls.ts";
import { type Certificate, makeCertificate } from "../../../support/certificate.ts";

let pairs: Certificate[];

beforeAll(async () => {
  pairs = await Promise.all([makeCertificate(), makeCertificate(), makeCertificate()]);
});

function certificate(at: number, ...names: string[]): ServerCertificate {
  const { cert, key } = pairs[at] as Certificate;
  return { cert, key, names };
}

function create(...certificates: [ServerCertificate, ...ServerCertificate[]]): ServerTls {
  const result = createServerTls({ certificates });
  if (!result.ok) throw new Error(result.reason);
  return result.tls;
}

describe("createServerTls()", () => {
  test("chooses by the very name before a wildcard, in any case, with a dot at the end or without", () => {
    const tls = create(certificate(0, "first.test"), certificate(1, "*.corp.test"), certificate(2, "proxy.corp.test"));
    const first = tls.choose(undefined);
    const wildcard = tls.choose("any.corp.test");
    const exact = tls.choose("proxy.corp.test");
    expect(new Set([first, wildcard, exact]).size).toBe(3);
    expect(tls.choose("PROXY.Corp.Test.")).toBe(exact);
    expect(tls.choose("Other.CORP.test")).toBe(wildcard);
    expect(tls.choose("first.test")).toBe(first);
  });

  test("lets a wildcard stand for exactly one label", () => {
    const tls = create(certificate(0), certificate(1, "*.corp.test"));
    const first = tls.choose(undefined);
    for (const name of ["corp.test", "a.b.corp.test", ".corp.test", "corp.test.", "xcorp.test"])
      expect(tls.choose(name)).toBe(first);
  });

  test("shows the first certificate when the name is unknown, empty or an address", () => {
    const tls = create(certificate(0, "a.test"), certificate(1, "b.test"));
    const first = tls.choose("a.test");
    for (const name of [undefined, "", ".", "c.test", "127.0.0.1", "::1"]) expect(tls.choose(name)).toBe(first);
  });

  test("keeps the first of two certificates for one name", () => {
    const tls = create(certificate(0, "x.test"), certificate(1, "a.test"), certificate(2, "a.test"));
    const only = create(certificate(1, "a.test"));
    expect(tls.choose("a.test")).not.toBe(tls.choose("x.test"));
    expect(only.choose("a.test")).toBe(only.choose(undefined));
  });

  test("says which certificate cannot be used, and why", () => {
    const broken = { ...certificate(1), key: "no key" };
    const result = createServerTls({ certificates: [certificate(0), broken] });
    expect(result).toMatchObject({ ok: false, at: 1 });
    const mixed = { ...certificate(1), key: certificate(2).key };
    expect(createServerTls({ certificates: [mixed] })).toMatchObject({ ok: false, at: 0 });
  });

  test("tells whether clients are asked for certificates", () => {
    const ca = [certificate(2).cert];
    const clients = (required?: boolean) => {
      const asked = required === undefined ? {} : { clients: { ca, required } };
      const result = createServerTls({ certificates: [certificate(0)], ...asked });
      return result.ok ? result.tls.clients : result.reason;
    };
    expect([clients(), clients(false), clients(true)]).toEqual(["none", "optional", "required"]);
  });
});
