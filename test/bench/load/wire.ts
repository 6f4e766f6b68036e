/**
 * What the load client and the origin say to each other: the first byte on a
 * connection tells the origin what to do with it.
 */
export const wish = {
  /** Send back whatever comes. */
  echo: 0x45,
  /** Read and forget. */
  sink: 0x53,
  /** Send without end. */
  flood: 0x46,
  /** Send without end, and read and forget. */
  both: 0x42,
  /** Send as many bytes as the four after this one say (big-endian). */
  amount: 0x41,
} as const;

/** Asks the origin for so many bytes, up to 4 GiB. */
export function encodeAmount(bytes: number): Uint8Array {
  const asked = new Uint8Array(5);
  asked[0] = wish.amount;
  new DataView(asked.buffer).setUint32(1, bytes);
  return asked;
}

/** How a peer wants to be asked for a tunnel; `none` for one that leads to the origin by itself. */
export type Handshake = "none" | "connect" | "socks5";

/** What the client has to say before a tunnel is up: messages, and the byte count of the answer to each (0: an HTTP head). */
export function listHandshakeSteps(
  handshake: Handshake,
  originPort: number,
): { say: Uint8Array; answerBytes: number }[] {
  if (handshake === "none") return [];
  if (handshake === "connect") {
    const authority = `127.0.0.1:${originPort}`;
    return [{ say: Buffer.from(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`), answerBytes: 0 }];
  }
  return [
    { say: Uint8Array.of(5, 1, 0), answerBytes: 2 },
    { say: Uint8Array.of(5, 1, 0, 1, 127, 0, 0, 1, originPort >> 8, originPort & 255), answerBytes: 10 },
  ];
}
