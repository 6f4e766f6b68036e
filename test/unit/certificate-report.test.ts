import { expect, test } from "bun:test";
import { CertificateReporter } from "../../src/certificate-report.ts";

test("a certificate is parsed once while it is in use, and again when its file has another", () => {
  const parsed: string[] = [];
  const reporter = new CertificateReporter(({ cert }) => {
    parsed.push(cert);
    return { names: [cert], issuer: "authority", begins: 0, ends: 86_400_000, missing: undefined };
  });
  const report = (cert: string) => {
    const tls = { certificates: [{ file: "a.pem", cert, key: "", names: [], expiresAt: 0 }] };
    const listeners = [{ name: "one" }, { name: "other" }];
    const gate = { listeners, runtime: { current: { upstreams: new Map() } } };
    return reporter.report(gate, { plans: [{ tls }, { tls }], sidecar: { tls } }, 0).map(({ names }) => names[0]);
  };
  expect(report("first")).toEqual(["first", "first", "first"]);
  report("first");
  expect(parsed).toEqual(["first"]);
  expect(report("second")).toEqual(["second", "second", "second"]);
  expect(parsed).toEqual(["first", "second"]);
  // Nothing is kept of one that is no longer in use.
  report("first");
  expect(parsed).toEqual(["first", "second", "first"]);
});
