import { describe, expect, test } from "bun:test";
import { certificatesAnswer } from "../../src/sidecar/certificates.ts";
import { statusAnswer } from "../../src/sidecar/status.ts";
import { makeAuthority } from "../support/certificate-authority.ts";
import { makeCertificate } from "../support/certificate.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";

async function readStatus(proxy: TestProxy) {
  return statusAnswer.parse(await (await proxy.ask("/status")).json());
}

describe("GET /certificates", () => {
  test("lists what listeners show to clients", async () => {
    const { cert, key } = await makeCertificate(["DNS:proxy.example", "IP:127.0.0.1"]);
    await using proxy = await startProxy(
      { listen: [{ port: 0, tls: { cert: "proxy.pem", key: "proxy.key" } }] },
      { files: { "proxy.pem": cert, "proxy.key": key } },
    );
    const { certificates } = certificatesAnswer.parse(await (await proxy.ask("/certificates")).json());
    expect(certificates).toMatchObject([
      {
        used_by: `127.0.0.1:${proxy.port}`,
        file: "proxy.pem",
        names: ["proxy.example", "127.0.0.1"],
        issuer: "localhost",
        days: 1,
        warnings: ["It ends in 1 day."],
      },
    ]);
    const { certificates: shown, warnings } = await readStatus(proxy);
    expect(shown).toEqual([{ name: "proxy.example", days: 1 }]);
    expect(warnings).toEqual([`The certificate "proxy.pem" of 127.0.0.1:${proxy.port} ends in 1 day.`]);
  });

  test("lists what upstreams are shown, each certificate once, with those of pools", async () => {
    await using authority = await makeAuthority();
    const [ours, ended] = [
      await makeCertificate(["URI:spiffe://example/proxy"]),
      await authority.issue({ names: ["DNS:old.example"], to: "20250101000000Z" }),
    ];
    const login = { cert: "ours.pem", key: "ours.key" };
    await using proxy = await startProxy(
      {
        upstreams: {
          plain: "http://127.0.0.1:9",
          corp: { url: "https://127.0.0.1:9", ...login },
          exits: {
            pool: [
              { url: "https://127.0.0.2:9", ...login },
              { url: "https://127.0.0.3:9", cert: "ended.pem", key: "ended.key" },
            ],
          },
        },
      },
      {
        files: { "ours.pem": ours.cert, "ours.key": ours.key, "ended.pem": ended.cert, "ended.key": ended.key },
      },
    );
    const { certificates } = certificatesAnswer.parse(await (await proxy.ask("/certificates")).json());
    expect(certificates).toMatchObject([
      { used_by: "upstream exits/127.0.0.3:9", file: "ended.pem", names: ["old.example"], warnings: ["It has ended."] },
      { used_by: "upstream corp and 1 more", file: "ours.pem", names: ["spiffe://example/proxy"], issuer: "localhost" },
    ]);
    expect((await readStatus(proxy)).warnings).toEqual([
      'The certificate "ended.pem" of upstream exits/127.0.0.3:9 has ended.',
      'The certificate "ours.pem" of upstream corp and 1 more ends in 1 day.',
    ]);
  });

  test("lists the sidecar's own", async () => {
    const { cert, key } = await makeCertificate(["DNS:ops.example", "IP:127.0.0.1"]);
    await using proxy = await startProxy(
      { sidecar: { port: 0, token: "scenario-token", tls: { cert: "ops.pem", key: "ops.key" } } },
      { files: { "ops.pem": cert, "ops.key": key } },
    );
    const ask = (path: string) =>
      fetch(`https://127.0.0.1:${proxy.daemon.sidecar?.port}${path}`, {
        headers: { Authorization: "Bearer scenario-token" },
        tls: { ca: cert },
      });
    const { certificates } = certificatesAnswer.parse(await (await ask("/certificates")).json());
    expect(certificates).toMatchObject([
      { used_by: "sidecar", file: "ops.pem", names: ["ops.example", "127.0.0.1"], days: 1 },
    ]);
    expect(statusAnswer.parse(await (await ask("/status")).json()).warnings).toEqual([
      'The certificate "ops.pem" of the sidecar ends in 1 day.',
    ]);
  });
});
