import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connectRaw, listenEcho, type RawServer } from "../support/raw-peer.ts";
import { startProxy, waitFor } from "../support/proxy.ts";

let echo: RawServer;
beforeAll(() => {
  echo = listenEcho();
});
afterAll(() => echo[Symbol.dispose]());

/** Whether a tunnel could be opened at that port of loopback. */
async function tryTunnel(port: number): Promise<string | undefined> {
  try {
    using client = await connectRaw(port);
    client.write(`CONNECT 127.0.0.1:${echo.port} HTTP/1.1\r\nHost: 127.0.0.1:${echo.port}\r\n\r\n`);
    await client.untilText("\r\n\r\n");
    return client.text.split(" ")[1];
  } catch (error) {
    return String(error);
  }
}

describe("a listener that moves to an address around or inside its old one", () => {
  test("is moved by one reload, and no connection fails meanwhile", async () => {
    await using proxy = await startProxy({ open: true });
    const { port } = proxy;
    const others = new Map<string | undefined, number>();
    let served = 0;
    let stop = false;
    const clients = Array.from({ length: 4 }, async () => {
      while (!stop) {
        const status = await tryTunnel(port);
        if (status === "200") served += 1;
        else others.set(status, (others.get(status) ?? 0) + 1);
      }
    });
    for (const host of ["0.0.0.0", "127.0.0.1", "::", "0.0.0.0", "::", "127.0.0.1"]) {
      expect(await proxy.reload({ open: true, listen: [{ host, port }] })).toMatchObject({ kind: "done" });
      expect(proxy.daemon.listeners).toHaveLength(1);
      const seen = served;
      await waitFor(() => served > seen + 5, "some connections");
    }
    stop = true;
    await Promise.all(clients);
    expect([...others]).toEqual([]);
  });

  test("stays when another listener of the same reload cannot be bound", async () => {
    await using proxy = await startProxy({ open: true });
    const { port } = proxy;
    const listen = [
      { host: "0.0.0.0", port },
      { host: "127.0.0.1", port: echo.port },
    ];
    expect(await proxy.reload({ open: true, listen })).toMatchObject({ kind: "invalid" });
    expect(await tryTunnel(port)).toBe("200");
    expect(await proxy.reload({ open: true, listen: listen.slice(0, 1) })).toMatchObject({ kind: "done" });
    expect(await tryTunnel(port)).toBe("200");
  });

  test("shares its port with no other program, before and after", async () => {
    await using proxy = await startProxy({ open: true });
    const { port } = proxy;
    const bindToo = () => Bun.listen({ hostname: "127.0.0.1", port, exclusive: true, socket: { data: () => {} } });
    expect(bindToo).toThrow("Failed to listen");
    await proxy.reload({ open: true, listen: [{ host: "0.0.0.0", port }] });
    expect(bindToo).toThrow("Failed to listen");
  });

  test("is told what to do where the runtime binds", async () => {
    await using proxy = await startProxy({ open: true, sockets: "runtime" });
    const { port } = proxy;
    expect(await proxy.reload({ open: true, sockets: "runtime", listen: [{ host: "0.0.0.0", port }] })).toEqual({
      kind: "invalid",
      problems: [
        `Cannot listen on 0.0.0.0:${port}: the port is in use. The listener on 127.0.0.1:${port}, which this configuration does not have, may be what uses it: take it out in one reload, and add the new one in the next.`,
      ],
    });
    expect(await tryTunnel(port)).toBe("200");
  });
});
