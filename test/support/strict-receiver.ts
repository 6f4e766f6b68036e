import { parseProxyHeader, type ProxyHeader } from "../../src/protocol/proxy-header/proxy-header.ts";
import { listenRaw, type RawPeer, type RawServer } from "./raw-peer.ts";

/** A server that takes nothing before a PROXY header. */
export interface StrictReceiver extends Disposable {
  readonly port: number;
  /** The header of each connection, in order. */
  readonly headers: ProxyHeader[];
  /** What came after it on the last connection. */
  readonly text: string;
}

/** Reads the header, then does with the connection what `serve` does with what comes after it; resets it without a header. */
export function listenBehindProxyHeader(serve: (peer: RawPeer, text: string) => void = () => {}): StrictReceiver {
  const headers: ProxyHeader[] = [];
  let last = "";
  const server: RawServer = listenRaw((peer) => {
    let bytes = Buffer.alloc(0);
    let introduced = false;
    peer.consume = (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (!introduced) {
        const parsed = parseProxyHeader(bytes);
        if (parsed.kind === "more") return;
        if (parsed.kind === "bad") {
          peer.reset();
          return;
        }
        introduced = true;
        headers.push(parsed.value);
        bytes = bytes.subarray(parsed.used);
      }
      last = bytes.toString("latin1");
      serve(peer, last);
    };
  });
  return {
    port: server.port,
    headers,
    get text() {
      return last;
    },
    [Symbol.dispose]: () => server[Symbol.dispose](),
  };
}
