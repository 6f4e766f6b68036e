import { connectRaw, type RawPeer } from "./raw-peer.ts";

/** The head of a CONNECT for `target`, with the credentials `name:password` where there are some. */
function writeConnect(target: string, credentials?: string): string {
  const field =
    credentials === undefined
      ? ""
      : `Proxy-Authorization: Basic ${Buffer.from(credentials, "utf8").toString("base64")}\r\n`;
  return `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${field}\r\n`;
}

/** Asks the proxy at `port` for a tunnel that it refuses, and gives the whole answer. */
export async function askInVain(port: number, target: string, credentials?: string): Promise<string> {
  using client = await connectRaw(port);
  client.write(writeConnect(target, credentials));
  await client.untilEnd();
  return client.text;
}

/** Opens a tunnel to `target`; what the answer's head was is taken out of what the peer received. */
export async function openTunnel(port: number, target: string, credentials?: string): Promise<RawPeer> {
  const client = await connectRaw(port);
  client.write(writeConnect(target, credentials));
  await client.untilText("\r\n\r\n");
  const answer = client.text;
  if (!answer.startsWith("HTTP/1.1 200 ")) {
    client[Symbol.dispose]();
    throw new Error(`There is no tunnel to ${target}: ${answer}`);
  }
  const rest = client.take().subarray(answer.indexOf("\r\n\r\n") + 4);
  client.receivedBytes = 0;
  if (rest.length > 0) client.onData(rest);
  return client;
}
