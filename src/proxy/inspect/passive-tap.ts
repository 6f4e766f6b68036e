import { outlineClientHello, outlineServerHello } from "../../protocol/tls/read/hello-outline.ts";
import type { TapPort, TunnelTap } from "../tunnel/tunnel-tap.ts";
import { FirstBytesTap, type FirstBytesTapOptions } from "./first-bytes-tap.ts";
import { beginsWithFinished, concludeHandshake, HandshakeSide } from "./handshake-side.ts";
import { startTlsFacts, timeHandshake, type TlsFacts } from "./inside-facts.ts";

const TLS13 = 0x0304;
/** Bytes of both sides after which a handshake that does not end is given up: more than the longest chain of certificates. */
const LIMIT = 64 * 1024;
const NO_BYTES = new Uint8Array(0);

/**
 * The tap of nearly every tunnel: no rule waits for a verdict, and each hello
 * of a TLS handshake is whole in the chunk that it comes in. What it learns
 * costs a few microseconds and hardly an object; whatever is of another form is
 * left to a `FirstBytesTap`, which learns the same.
 */
export class PassiveTap implements TunnelTap {
  done = false;
  readonly #options: FirstBytesTapOptions;
  /** The ClientHello, until it is answered. */
  #hello: Uint8Array = NO_BYTES;
  #offersEarlyData = false;
  #bytes = 0;
  #client: HandshakeSide | undefined;
  /** Only up to TLS 1.2. */
  #server: HandshakeSide | undefined;
  #other: FirstBytesTap | undefined;

  /** Without a demand, and without JA3. */
  constructor(options: FirstBytesTapOptions) {
    this.#options = options;
  }

  begin(_port: TapPort): void {
    // It holds nothing and refuses nothing.
  }

  up(chunk: Uint8Array): Uint8Array {
    if (this.done) return chunk;
    const { tls } = this.#options.facts;
    if (this.#other !== undefined) this.#leaveTo(this.#other, "up", chunk);
    else if (tls === undefined) this.#readHello(chunk);
    else if (tls.version === undefined) this.#rereadHello("up", chunk);
    else this.#followClient(tls, chunk);
    return this.#count(chunk);
  }

  upEnd(): undefined {
    // Nothing is held that would have to go on before the FIN.
  }

  down(chunk: Uint8Array): Uint8Array {
    if (this.done) return chunk;
    const { tls } = this.#options.facts;
    if (this.#other !== undefined) this.#leaveTo(this.#other, "down", chunk);
    else if (tls === undefined) this.#leaveTo(new FirstBytesTap(this.#options), "down", chunk);
    else if (tls.version === undefined) this.#readAnswer(tls, chunk);
    else this.#followServer(tls, chunk);
    return this.#count(chunk);
  }

  close(): void {
    this.#finish();
  }

  #count(chunk: Uint8Array): Uint8Array {
    this.#bytes += chunk.length;
    // The other tap has bounds of its own.
    if (this.#bytes > LIMIT && this.#other === undefined) this.#finish();
    return chunk;
  }

  #readHello(chunk: Uint8Array): void {
    const { facts } = this.#options;
    const outline = outlineClientHello(chunk);
    if (outline === undefined) {
      this.#leaveTo(new FirstBytesTap(this.#options), "up", chunk);
      return;
    }
    const { ja4, alpn, earlyData } = outline.profile;
    facts.protocol = "tls";
    facts.tls = startTlsFacts({ sni: outline.serverName, alpn, ja4, ja3: undefined });
    this.#hello = new Uint8Array(chunk);
    this.#offersEarlyData = earlyData;
  }

  #readAnswer(tls: TlsFacts, chunk: Uint8Array): void {
    const outline = outlineServerHello(chunk, this.#hello);
    if (outline === undefined) {
      this.#rereadHello("down", chunk);
      return;
    }
    this.#hello = NO_BYTES;
    tls.version = outline.version;
    tls.cipherSuite = outline.cipherSuite;
    tls.alpnChosen = outline.alpn;
    tls.resumed = outline.resumed;
    tls.certificateExpiry = outline.certificateExpiry;
    if (outline.version === TLS13) return;
    this.#client = new HandshakeSide("client", tls);
    this.#server = new HandshakeSide("server", tls);
    this.#followServer(tls, chunk);
  }

  /** What the server says after the hello of TLS 1.3 is encrypted and tells nothing. */
  #followServer(tls: TlsFacts, chunk: Uint8Array): void {
    if (this.#client === undefined || this.#server === undefined) return;
    this.#server.push(chunk);
    if (concludeHandshake(tls, this.#client, this.#server)) this.#finish();
  }

  #followClient(tls: TlsFacts, chunk: Uint8Array): void {
    if (this.#client === undefined && beginsWithFinished(chunk)) {
      timeHandshake(tls);
      this.#finish();
      return;
    }
    this.#client ??= new HandshakeSide("client", tls, this.#offersEarlyData);
    this.#client.push(chunk);
    if (concludeHandshake(tls, this.#client, this.#server)) this.#finish();
  }

  /** Leaves the handshake to the other tap, from the hello on. */
  #rereadHello(way: "up" | "down", chunk: Uint8Array): void {
    const other = new FirstBytesTap(this.#options);
    other.up(this.#hello);
    this.#hello = NO_BYTES;
    this.#leaveTo(other, way, chunk);
  }

  #leaveTo(other: FirstBytesTap, way: "up" | "down", chunk: Uint8Array): void {
    this.#other = other;
    other[way](chunk);
    if (other.done) this.#finish();
  }

  /** Forgets all but the facts, which live as long as the tunnel. */
  #finish(): void {
    this.done = true;
    this.#hello = NO_BYTES;
    this.#client = undefined;
    this.#server = undefined;
    this.#other = undefined;
  }
}
