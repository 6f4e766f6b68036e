import { listenEcho, listenRaw, type RawPeer } from "../../support/raw-peer.ts";
import { Arrival, makeBlock, numberDown, PIECE_BYTES, Stream } from "./streams.ts";

/** Bytes that name a tunnel at its beginning. */
const NAME_BYTES = 4;

/** What the clients talk to. */
export interface Origins extends Disposable {
  readonly echoPort: number;
  readonly httpPort: number;
  readonly streamPort: number;
  /** What this end saw of the long tunnels. */
  readonly streams: { whole: number; wrong: number; reset: number };
}

/** Starts an echo server, an HTTP server, and one end of long tunnels. */
export function startOrigins(): Origins {
  const echo = listenEcho();
  const http = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch: describeRequest });
  const streams = { whole: 0, wrong: 0, reset: 0 };
  const block = makeBlock();
  const long = listenRaw((peer) => serveStream(peer, block, (end) => (streams[end] += 1)));
  return {
    echoPort: echo.port,
    httpPort: http.port ?? 0,
    streamPort: long.port,
    streams,
    [Symbol.dispose]() {
      echo[Symbol.dispose]();
      long[Symbol.dispose]();
      void http.stop(true);
    },
  };
}

async function describeRequest(request: Request): Promise<Response> {
  const body = await request.text();
  return new Response(describeMessage(request.method, new URL(request.url).pathname, body));
}

/** The body of the response to a request. */
export function describeMessage(method: string, path: string, body: string): string {
  return `${method} ${path} ${Bun.hash(body).toString(36)}`;
}

/** Sends as many bytes as it gets, but other ones, and checks those that it gets at their end. */
function serveStream(peer: RawPeer, block: Uint8Array, tell: (end: "whole" | "wrong" | "reset") => void): void {
  let name = Buffer.alloc(0);
  let down: Stream | undefined;
  let up: Arrival | undefined;
  peer.consume = (chunk) => {
    const missing = NAME_BYTES - name.length;
    if (missing > 0) name = Buffer.concat([name, chunk.subarray(0, missing)]);
    const rest = chunk.subarray(missing > 0 ? missing : 0);
    if (name.length < NAME_BYTES || rest.length === 0) return;
    const tunnel = name.readUInt32BE();
    up ??= new Arrival(tunnel, block);
    down ??= new Stream(numberDown(tunnel), block);
    up.take(rest);
    for (let left = rest.length; left > 0; left -= PIECE_BYTES) peer.write(down.next(Math.min(left, PIECE_BYTES)));
  };
  peer.onEnd = () => {
    peer.end = "fin";
    peer.finish();
    tell(up === undefined || up.isRight() ? "whole" : "wrong");
  };
  peer.onClose = () => {
    if (peer.end === "open") tell("reset");
    peer.closed = true;
  };
}

/** What a client sends first in a long tunnel. */
export function nameTunnel(tunnel: number): Uint8Array {
  const name = Buffer.alloc(NAME_BYTES);
  name.writeUInt32BE(tunnel);
  return name;
}
