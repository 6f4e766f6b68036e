import { connectRaw, type RawPeer } from "../../support/raw-peer.ts";
import { connectTls } from "../../support/tls-stand.ts";
import { describeMessage } from "./origins.ts";

/** Milliseconds after which an answer counts as missing. */
const PATIENCE_MS = 10_000;
const PAYLOAD = "a round trip of some bytes ".repeat(10);

/** How to reach a listener of the proxy. */
export interface Way {
  readonly port: number;
  /** PEM of its authority; undefined in clear. */
  readonly ca: string | undefined;
  readonly credentials: string;
}

/** Connects to a listener. */
export async function connectBy({ port, ca }: Way): Promise<RawPeer> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("no connection in time")), PATIENCE_MS);
  try {
    return await Promise.race([ca === undefined ? connectRaw(port) : connectTls(port, ca), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** `Proxy-Authorization` as a line. */
function authorize({ credentials }: Way): string {
  return `Proxy-Authorization: Basic ${Buffer.from(credentials).toString("base64")}\r\n`;
}

/** Opens a tunnel on a connection, or says what the proxy answered instead. */
export async function askTunnel(peer: RawPeer, way: Way, target: string): Promise<string | undefined> {
  peer.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${authorize(way)}\r\n`);
  await peer.until(({ text, end, closed }) => text.includes("\r\n\r\n") || end !== "open" || closed, "an answer");
  const { text } = peer;
  if (!text.includes("\r\n\r\n")) return `${peer.end} before the answer`;
  if (!text.startsWith("HTTP/1.1 200 ")) return text.slice(0, text.indexOf("\r\n"));
  peer.receivedBytes = 0;
  const rest = peer.take().subarray(text.indexOf("\r\n\r\n") + 4);
  if (rest.length > 0) peer.onData(rest);
  return undefined;
}

/** CONNECT, a round trip and an end in order: gives the milliseconds until the answer, or what failed. */
export async function connectOnce(way: Way, echoPort: number): Promise<string | number> {
  const begun = performance.now();
  using peer = await connectBy(way);
  const refusal = await askTunnel(peer, way, `127.0.0.1:${echoPort}`);
  const ms = performance.now() - begun;
  if (refusal !== undefined) return refusal;
  peer.write(PAYLOAD);
  await peer.until(({ receivedBytes, end }) => receivedBytes >= PAYLOAD.length || end !== "open", "the echo");
  if (peer.text !== PAYLOAD) return peer.end === "open" ? "wrong bytes" : `${peer.end} before the echo`;
  peer.finish();
  await peer.untilEnd();
  return peer.end === "fin" ? ms : `${peer.end} instead of an end`;
}

/** A client connection that is kept for many requests. */
export class Forwarder {
  readonly #way: Way;
  readonly #origin: string;
  #peer: RawPeer | undefined;
  #count = 0;

  constructor(way: Way, httpPort: number) {
    this.#way = way;
    this.#origin = `127.0.0.1:${httpPort}`;
  }

  /** Sends a GET or a POST: gives the milliseconds until the response, or what failed. */
  async ask(): Promise<string | number> {
    this.#count += 1;
    const begun = performance.now();
    const failure = await this.#askOnce();
    return failure ?? performance.now() - begun;
  }

  async #askOnce(): Promise<string | undefined> {
    const kept = this.#peer;
    if (kept !== undefined && (kept.end !== "open" || kept.closed)) {
      this.close();
      return "a kept connection was closed between two requests";
    }
    const peer = kept ?? (await connectBy(this.#way));
    this.#peer = peer;
    const path = `/${this.#count}`;
    const [method, body] = this.#count % 4 === 0 ? ["POST", PAYLOAD] : ["GET", ""];
    const length = body === "" ? "" : `Content-Length: ${body.length}\r\n`;
    peer.write(
      `${method} http://${this.#origin}${path} HTTP/1.1\r\nHost: ${this.#origin}\r\n${authorize(this.#way)}${length}\r\n${body}`,
    );
    await peer.until((now) => now.end !== "open" || now.closed || isWhole(now.text), "the response");
    const text = peer.take().toString("latin1");
    if (!isWhole(text)) {
      this.close();
      return `${peer.end} of a ${kept === undefined ? "new" : "kept"} connection before the response`;
    }
    const head = text.slice(0, text.indexOf("\r\n\r\n"));
    if (peer.end !== "open" || /^connection: *close$/im.test(head)) this.close();
    if (!head.startsWith("HTTP/1.1 200 ")) return head.slice(0, head.indexOf("\r\n"));
    return text.slice(head.length + 4) === describeMessage(method, path, body) ? undefined : "a wrong response";
  }

  close(): void {
    this.#peer?.[Symbol.dispose]();
    this.#peer = undefined;
  }
}

function isWhole(text: string): boolean {
  const end = text.indexOf("\r\n\r\n");
  const length = /^content-length: *([0-9]+)/im.exec(text.slice(0, Math.max(end, 0)))?.[1];
  return end >= 0 && text.length >= end + 4 + Number(length ?? 0);
}
