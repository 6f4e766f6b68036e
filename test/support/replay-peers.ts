import { loadTlsFixture } from "./tls-fixture.ts";
import { listenRaw, type RawPeer, type RawServer } from "./raw-peer.ts";

interface Turn {
  /** How many bytes of the other side come before this is said. */
  readonly after: number;
  readonly say: Uint8Array;
}

function listTurns(fixture: string, side: "client" | "server"): Turn[] {
  let heard = 0;
  const turns: Turn[] = [];
  for (const { from, bytes } of loadTlsFixture(fixture).segments) {
    if (from === side) turns.push({ after: heard, say: bytes });
    else heard += bytes.length;
  }
  return turns;
}

async function play(peer: RawPeer, turns: readonly Turn[], before: number): Promise<void> {
  for (const { after, say } of turns) {
    await peer.until(({ receivedBytes, closed }) => closed || receivedBytes - before >= after, `${after} bytes`);
    peer.write(say);
  }
}

/** A server that says in turn what the server of a recorded TLS connection said. */
export function listenReplay(fixture: string): RawServer {
  const turns = listTurns(fixture, "server");
  return listenRaw((peer) => {
    void play(peer, turns, 0);
  });
}

/** Says in turn what the client of a recorded TLS connection said, and waits for all that its server said. */
export async function replayClient(peer: RawPeer, fixture: string): Promise<void> {
  const before = peer.receivedBytes;
  await play(peer, listTurns(fixture, "client"), before);
  await peer.untilReceived(before + loadTlsFixture(fixture).server.length);
}
