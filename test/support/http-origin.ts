import { listenRaw, type RawPeer, type RawServer } from "./raw-peer.ts";

/** A request as an origin received it. */
export interface ReceivedRequest {
  readonly peer: RawPeer;
  /** The head, its empty line included. */
  readonly head: string;
}

/** An origin that answers each request head as it is told; bodies are the test's business. */
export interface HttpOrigin extends Disposable {
  readonly port: number;
  readonly server: RawServer;
  /** Heads in order of arrival, over all connections. */
  readonly heads: string[];
  /** `http://127.0.0.1:port` followed by `path`. */
  uri(path?: string): string;
}

/** Starts an origin on a loopback port; `answer` gives what is written for a head, or undefined for nothing. */
export function serveHttp(answer: (request: ReceivedRequest) => string | undefined): HttpOrigin {
  const heads: string[] = [];
  const server = listenRaw((peer) => {
    let held = "";
    peer.consume = (chunk) => {
      held += Buffer.from(chunk).toString("latin1");
      for (let end = held.indexOf("\r\n\r\n"); end >= 0; end = held.indexOf("\r\n\r\n")) {
        const head = held.slice(0, end + 4);
        held = held.slice(end + 4);
        heads.push(head);
        const text = answer({ peer, head });
        if (text !== undefined) peer.write(text);
      }
    };
  });
  return {
    port: server.port,
    server,
    heads,
    uri: (path = "/") => `http://127.0.0.1:${server.port}${path}`,
    [Symbol.dispose]: () => server[Symbol.dispose](),
  };
}

/** A response with a length. */
export function ok(body: string, fields = ""): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${fields}\r\n${body}`;
}

/** A request in absolute-form with its Host. `fields` are whole lines. */
export function ask(method: string, uri: string, fields = "", version = "1.1"): string {
  const authority = new URL(uri).host;
  return `${method} ${uri} HTTP/${version}\r\nHost: ${authority}\r\n${fields}\r\n`;
}

/** Waits for a whole response with a length, or without a body, on `peer`, and takes it away. */
export async function takeResponse(peer: RawPeer, withBody = true): Promise<{ head: string; body: string }> {
  await peer.untilText("\r\n\r\n");
  const end = peer.text.indexOf("\r\n\r\n") + 4;
  const head = peer.text.slice(0, end);
  const length = withBody ? Number(/\r\nContent-Length: (\d+)/i.exec(head)?.[1] ?? 0) : 0;
  await peer.until((each) => each.text.length >= end + length, `a body of ${length} bytes`);
  const all = peer.take().toString("latin1");
  if (all.length > end + length) peer.onData(Buffer.from(all.slice(end + length), "latin1"));
  return { head, body: all.slice(end, end + length) };
}
