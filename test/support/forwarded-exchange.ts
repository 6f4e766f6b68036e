import { ask } from "./http-origin.ts";
import type { TestProxy } from "./proxy.ts";
import { listenRaw, type RawPeer } from "./raw-peer.ts";

/** Sends one request and hands the origin's end of it over. */
export async function exchange(
  proxy: TestProxy,
  method = "GET",
  fields = "",
  version = "1.1",
): Promise<{ client: RawPeer; origin: RawPeer } & Disposable> {
  const server = listenRaw();
  const client = await proxy.connect();
  client.write(ask(method, `http://127.0.0.1:${server.port}/`, fields, version));
  const origin = await server.next();
  await origin.untilText("\r\n\r\n");
  return {
    client,
    origin,
    [Symbol.dispose]() {
      client[Symbol.dispose]();
      server[Symbol.dispose]();
    },
  };
}
