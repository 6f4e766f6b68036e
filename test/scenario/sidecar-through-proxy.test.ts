import { describe, expect, test } from "bun:test";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { startProxy } from "../support/proxy.ts";

const allowAll = { name: "all", allow: true, allowPrivate: true };
const resolver = createFakeResolver({ "sidecar.example": ["127.0.0.1"], "six.example": ["::1"] });

describe("the sidecar, asked for through the proxy", () => {
  test.each(["127.0.0.1", "0.0.0.0", "::", "::1", "localhost"])(
    "is a loop however it is called, whatever the rules allow: bound to %s",
    async (host) => {
      await using proxy = await startProxy({ rules: [allowAll], sidecar: { host, port: 0, token: "t" } }, { resolver });
      const port = proxy.daemon.sidecar?.port;
      const isSix = host === "::1";
      const names = isSix
        ? ["[::1]", "six.example"]
        : ["127.0.0.1", "sidecar.example", "[::ffff:127.0.0.1]", "0.0.0.0"];
      // Of the two addresses of localhost the other one may be dialled, where nobody listens.
      const isWhole = host !== "127.0.0.1" && host !== "::1";
      for (const name of [...names, ...(isWhole ? ["localhost"] : [])]) {
        const target = `${name}:${port}`;
        expect((await proxy.tunnel(target)).head).toStartWith("HTTP/1.1 508 ");
        const request = `GET http://${target}/healthz HTTP/1.1\r\nHost: ${target}\r\nConnection: close\r\n\r\n`;
        expect(await proxy.exchange(request)).toStartWith("HTTP/1.1 508 ");
      }
      expect(proxy.records.every(({ detail }) => detail === "proxy_loop")).toBe(true);
    },
  );

  test("is not reached as an upstream either", async () => {
    await using first = await startProxy({ rules: [allowAll] });
    // The port is known only now, so it is another sidecar that is configured with the same one.
    const port = first.daemon.sidecar?.port ?? 0;
    await first.daemon.stop();
    await using proxy = await startProxy({
      sidecar: { port, token: "scenario-token" },
      upstreams: { own: `http://127.0.0.1:${port}` },
      default: "own",
      rules: [],
    });
    const { head } = await proxy.tunnel("site.example:443");
    expect(head).toStartWith("HTTP/1.1 508 ");
    expect(head).toContain("The upstream own is this proxy itself.");
  });
});
