import { describe, expect } from "bun:test";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { needs } from "../support/needs.ts";
import { runProgram } from "../support/program.ts";
import { allowLoopback, startProxy } from "../support/proxy.ts";
import { listenRaw } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { startTlsOrigin } from "../support/tls-origin.ts";

const resolver = createFakeResolver({ "good.example": ["127.0.0.1"], "other.example": ["127.0.0.1"] });
const ANSWER = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

/** All values of Host that an origin was sent, in order. */
function listHosts(received: Buffer): string[] {
  return [...received.toString("latin1").matchAll(/^host:[ \t]*(.*?)\r$/gim)].map(([, value = ""]) => value);
}

describe("domain fronting", () => {
  needs("curl")(
    "in forwarded requests fails: the origin gets the host that the rules judged, whatever Host says",
    async () => {
      using origin = listenRaw((peer) => void peer.untilText("\r\n\r\n").then(() => peer.write(ANSWER)));
      await using proxy = await startProxy({ rules: [allowLoopback] }, { resolver });
      const target = `good.example:${origin.port}`;
      const lies = [
        "Host: evil.example",
        `Host: evil.example:${origin.port}`,
        "Host: good.example.evil.example",
        "Host: 10.0.0.1",
      ];
      for (const lie of lies) {
        const url = `http://${target}/path`;
        const args = [
          "-sS",
          "-x",
          `http://127.0.0.1:${proxy.port}`,
          "-H",
          lie,
          "-o",
          "/dev/null",
          "-w",
          "%{http_code}",
        ];
        expect(await runProgram(["curl", ...args, url])).toMatchObject({ code: 0, stdout: "200" });
      }
      const hosts = origin.accepted.flatMap(({ received }) => listHosts(received));
      expect(hosts.length).toBeGreaterThan(0);
      expect(new Set(hosts)).toEqual(new Set([target]));
      for (const at of lies.keys()) expect(await proxy.record(at)).toMatchObject({ target, status: 200 });
    },
  );

  needs("chromium", "node")(
    "in TLS is judged in Chromium's own ClientHello, with its post-quantum key share and GREASE",
    async () => {
      await using origin = await startTlsOrigin();
      const load = async (demand: Record<string, unknown>) => {
        await using proxy = await startProxy({ rules: [{ ...allowLoopback, ...demand }] }, { resolver });
        await using home = await makeFolder({});
        const { stdout } = await runProgram(
          [
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"],
            ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
            [`--user-data-dir=${home.path}/profile`, "--ignore-certificate-errors"],
            [
              `--proxy-server=http://127.0.0.1:${proxy.port}`,
              "--dump-dom",
              `https://good.example:${origin.port}/hello`,
            ],
          ].flat(),
          { env: { HOME: home.path } },
        );
        const ours = proxy.records.filter(({ target }) => target === `good.example:${origin.port}`);
        return { stdout, details: new Set(ours.map(({ detail }) => detail)) };
      };
      const loaded = await load({ sni: "match", ech: "grease" });
      expect(loaded.stdout).toContain("hello from the origin");
      expect(loaded.details).toEqual(new Set([undefined]));
      const fronting = await load({ sni: ["other.example"] });
      expect(fronting.stdout).not.toContain("hello from the origin");
      expect(fronting.details).toEqual(new Set(["sni_mismatch"]));
      const hiding = await load({ ech: "deny" });
      expect(hiding.stdout).not.toContain("hello from the origin");
      expect(hiding.details).toEqual(new Set(["ech_denied"]));
    },
  );
});
