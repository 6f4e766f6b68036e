import { listenRaw, type RawPeer, type RawServer } from "./raw-peer.ts";

/** How an upstream misbehaves once it has accepted a connection, by name. */
const behaviours: Readonly<Record<string, (peer: RawPeer) => void>> = {
  "says nothing": () => {},
  "closes after accept": (peer) => peer.finish(),
  "resets after accept": (peer) => peer.reset(),
  "answers garbage": (peer) => peer.write("EHLO, is it me you are looking for?\r\n\r\n"),
  "answers 407": (peer) =>
    peer.write("HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n"),
  "answers 403": (peer) => peer.write("HTTP/1.1 403 Forbidden\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n"),
  "answers 502": (peer) => peer.write("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
};

/** An upstream that accepts connections and then does what its name says. */
export function listenAsMember(behaviour: string): RawServer {
  const act = behaviours[behaviour];
  if (act === undefined) throw new Error(`No upstream ${behaviour}`);
  return listenRaw((peer) => {
    // Closing before the client has spoken would be another thing than closing after.
    if (behaviour.startsWith("answers")) void peer.untilText("\r\n\r\n").then(() => act(peer));
    else act(peer);
  });
}
