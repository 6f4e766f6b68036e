import { listenRaw, type RawPeer, type RawServer } from "./raw-peer.ts";

/** What an upstream got on one connection. */
export interface SeenConnection {
  /** User names, in order: of SOCKS one, of HTTP one for each request that it took. */
  readonly logins: string[];
  /** Heads of requests that came to what is behind it. */
  readonly heads: string[];
}

/** An upstream that is the origin, too: it answers each request with the user name under which it came. */
export interface SessionUpstream extends Disposable {
  readonly port: number;
  readonly connections: SeenConnection[];
}

/** `forward`: takes requests in absolute-form. `tunnel`: takes CONNECT. */
export function listenSessionUpstream(kind: "socks5" | "socks4a" | "tunnel" | "forward"): SessionUpstream {
  const connections: SeenConnection[] = [];
  const server: RawServer = listenRaw((peer) => {
    const seen: SeenConnection = { logins: [], heads: [] };
    connections.push(seen);
    let held = Buffer.alloc(0);
    let step = kind === "socks5" ? takeSocks5 : kind === "socks4a" ? takeSocks4 : takeHttp;
    peer.consume = (chunk) => {
      held = Buffer.concat([held, chunk]);
      for (let used = step(held, peer, seen); used > 0; used = step(held, peer, seen)) {
        held = held.subarray(used);
        if (seen.logins.length > 0 && kind !== "forward") step = takeInside;
      }
    };
  });
  return { port: server.port, connections, [Symbol.dispose]: () => server[Symbol.dispose]() };
}

/** One step of a protocol: takes what is whole, answers it, and gives the bytes that it took. */
type Step = (bytes: Buffer, peer: RawPeer, seen: SeenConnection) => number;

const takeSocks5: Step = (bytes, peer, seen) => {
  if (bytes[0] === 5) {
    peer.write(Uint8Array.of(5, 2));
    return 2 + (bytes[1] ?? 0);
  }
  if (bytes[0] !== 1) return 0;
  const userEnd = 2 + (bytes[1] ?? 0);
  seen.logins.push(bytes.subarray(2, userEnd).toString());
  peer.write(Uint8Array.of(1, 0));
  return userEnd + 1 + (bytes[userEnd] ?? 0);
};

const takeSocks4: Step = (bytes, peer, seen) => {
  const userEnd = bytes.indexOf(0, 8);
  const nameEnd = bytes.indexOf(0, userEnd + 1);
  if (userEnd < 0 || nameEnd < 0) return 0;
  seen.logins.push(bytes.subarray(8, userEnd).toString());
  peer.write(Uint8Array.of(0, 90, 0, 0, 0, 0, 0, 0));
  return nameEnd + 1;
};

const takeHttp: Step = (bytes, peer, seen) => {
  const end = bytes.indexOf("\r\n\r\n") + 4;
  if (end < 4) return 0;
  const head = bytes.subarray(0, end).toString("latin1");
  const shown = /^Proxy-Authorization: Basic (.*)\r$/m.exec(head)?.[1] ?? "";
  const login = Buffer.from(shown, "base64").toString().split(":")[0] ?? "";
  seen.logins.push(login);
  if (head.startsWith("CONNECT ")) peer.write("HTTP/1.1 200 OK\r\n\r\n");
  else answer(peer, seen, head, login);
  return end;
};

/** What comes through the tunnel: of SOCKS5 its request first. */
const takeInside: Step = (bytes, peer, seen) => {
  if (bytes[0] === 5) {
    peer.write(Uint8Array.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0));
    return 7 + (bytes[4] ?? 0);
  }
  const end = bytes.indexOf("\r\n\r\n") + 4;
  if (end < 4) return 0;
  answer(peer, seen, bytes.subarray(0, end).toString("latin1"), seen.logins[0] ?? "");
  return end;
};

function answer(peer: RawPeer, seen: SeenConnection, head: string, login: string): void {
  seen.heads.push(head);
  peer.write(`HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(login)}\r\n\r\n${login}`);
}
