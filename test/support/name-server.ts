/** What a name server of a test says about one name. */
export interface ZoneEntry {
  readonly a?: ZoneAnswer;
  readonly aaaa?: ZoneAnswer;
}

/** Addresses; no such name; the word of a failure; nothing at all; or addresses that fit into no datagram. */
export type ZoneAnswer =
  | readonly string[]
  | "no_name"
  | "server_failure"
  | "refused"
  | "silent"
  | { readonly tooLong: readonly string[] }
  | { readonly alias: string; readonly addresses: readonly string[] };

/** By name, or by `*.domain` for every name below it. A name that is not there does not exist. */
export type Zone = Readonly<Record<string, ZoneEntry>>;

const RCODES = { server_failure: 2, no_name: 3, refused: 5 } as const;

/** A name server over UDP and TCP on one address, whose zone may be changed while it runs. */
export class NameServer implements Disposable {
  zone: Zone = {};
  /** The questions that came, as `name A`. */
  asked: string[] = [];
  readonly port: number;
  readonly #udp: { close(): void };
  readonly #tcp: { stop(force?: boolean): void };

  private constructor(port: number, udp: { close(): void }, tcp: { stop(force?: boolean): void }) {
    this.port = port;
    this.#udp = udp;
    this.#tcp = tcp;
  }

  static async start(hostname: string, port = 0): Promise<NameServer> {
    const holder: { server?: NameServer } = {};
    const tcp = Bun.listen({
      hostname,
      port,
      socket: {
        data(socket, chunk) {
          // Several questions may come at once.
          for (let at = 0; at + 2 < chunk.length; at += 2 + chunk.readUInt16BE(at)) {
            const reply = holder.server?.answer(chunk.subarray(at + 2, at + 2 + chunk.readUInt16BE(at)), true);
            if (reply === undefined) continue;
            socket.write(Buffer.concat([Buffer.of(reply.length >> 8, reply.length & 255), reply]));
          }
        },
      },
    });
    const udp = await Bun.udpSocket({
      hostname,
      port: tcp.port,
      socket: {
        data(socket, bytes, from, address) {
          const reply = holder.server?.answer(bytes, false);
          if (reply !== undefined) socket.send(reply, from, address);
        },
        // Somebody has not waited for the reply.
        error() {},
      },
    });
    holder.server = new NameServer(tcp.port, udp, tcp);
    return holder.server;
  }

  /** The reply to one message; undefined for silence. */
  answer(message: Buffer, stream: boolean): Buffer | undefined {
    const { name, type, end } = readQuestion(message);
    this.asked.push(`${name} ${type === 28 ? "AAAA" : "A"}`);
    const entry = findEntry(this.zone, name);
    const answer = entry === undefined ? "no_name" : ((type === 28 ? entry.aaaa : entry.a) ?? []);
    if (answer === "silent") return undefined;
    const question = message.subarray(12, end);
    const id = message.subarray(0, 2);
    if (typeof answer === "string") return Buffer.concat([id, header(RCODES[answer], 0), question]);
    if ("tooLong" in answer) {
      if (!stream) return Buffer.concat([id, header(0, 0, true), question]);
      return Buffer.concat([id, header(0, answer.tooLong.length), question, ...encode(answer.tooLong, type)]);
    }
    if (!("alias" in answer)) return Buffer.concat([id, header(0, answer.length), question, ...encode(answer, type)]);
    const target = encodeName(answer.alias);
    const alias = Buffer.concat([record(Buffer.of(0xc0, 0x0c), 5, target.length), target]);
    const addresses = encode(answer.addresses, type, target);
    return Buffer.concat([id, header(0, addresses.length + 1), question, alias, ...addresses]);
  }

  [Symbol.dispose](): void {
    this.#udp.close();
    this.#tcp.stop(true);
  }
}

function readQuestion(message: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), type: message.readUInt16BE(at + 1), end: at + 5 };
}

function findEntry(zone: Zone, name: string): ZoneEntry | undefined {
  const own = zone[name];
  if (own !== undefined) return own;
  for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
    const wild = zone[`*${name.slice(dot)}`];
    if (wild !== undefined) return wild;
  }
  return zone["*"];
}

function header(rcode: number, answers: number, truncated = false): Buffer {
  const bytes = Buffer.alloc(10);
  bytes.writeUInt16BE(0x8180 | rcode | (truncated ? 0x0200 : 0), 0);
  bytes.writeUInt16BE(1, 2);
  bytes.writeUInt16BE(answers, 4);
  return bytes;
}

function encode(addresses: readonly string[], type: number, owner: Buffer = Buffer.of(0xc0, 0x0c)): Buffer[] {
  return addresses.map((text) => {
    const bytes = type === 28 ? encodeIpv6(text) : Buffer.from(text.split(".").map(Number));
    return Buffer.concat([record(owner, type, bytes.length), bytes]);
  });
}

function record(owner: Buffer, type: number, length: number): Buffer {
  const bytes = Buffer.alloc(10);
  bytes.writeUInt16BE(type, 0);
  bytes.writeUInt16BE(1, 2);
  bytes.writeUInt32BE(30, 4);
  bytes.writeUInt16BE(length, 8);
  return Buffer.concat([owner, bytes]);
}

function encodeName(name: string): Buffer {
  return Buffer.concat([
    ...name.split(".").map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)])),
    Buffer.of(0),
  ]);
}

function encodeIpv6(text: string): Buffer {
  const [head = "", tail] = text.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => "0"), ...right];
  return Buffer.from(groups.map((group) => group.padStart(4, "0")).join(""), "hex");
}
