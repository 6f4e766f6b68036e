import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { HandshakeMessage } from "../../src/protocol/tls/read/handshake-message.ts";
import type { TlsEvent } from "../../src/protocol/tls/read/tls-event.ts";
import { TlsWatcher } from "../../src/protocol/tls/read/tls-watcher.ts";

/** A recorded connection, as `record-handshakes.ts` writes it. */
export interface TlsFixture {
  readonly name: string;
  readonly keylog: string | undefined;
  readonly segments: readonly { readonly from: "client" | "server"; readonly bytes: Uint8Array }[];
  readonly client: Uint8Array;
  readonly server: Uint8Array;
}

const folder = join(import.meta.dir, "../fixtures/tls");

export function listTlsFixtures(): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.slice(0, -".json".length))
    .sort();
}

export function loadTlsFixture(name: string): TlsFixture {
  const json: { keylog?: string; segments: { from: "client" | "server"; hex: string }[] } = JSON.parse(
    readFileSync(join(folder, `${name}.json`), "utf8"),
  );
  const segments = json.segments.map(({ from, hex }) => ({ from, bytes: Uint8Array.fromHex(hex) }));
  const joinSide = (side: string) =>
    Uint8Array.fromHex(
      json.segments
        .filter(({ from }) => from === side)
        .map(({ hex }) => hex)
        .join(""),
    );
  return { name, keylog: json.keylog, segments, client: joinSide("client"), server: joinSide("server") };
}

/** All events of one direction, fed whole or in pieces of `pieceBytes`. */
export function watchAll(from: "client" | "server", bytes: Uint8Array, pieceBytes = bytes.length || 1): TlsEvent[] {
  const watcher = new TlsWatcher({ from });
  const events: TlsEvent[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) events.push(...watcher.push(bytes.slice(at, at + pieceBytes)));
  return events;
}

/** Events whose hellos, which are views, are objects of all that they tell: for comparing. */
export function readOut(events: readonly TlsEvent[]): object[] {
  return events.map((event) =>
    event.kind === "handshake" ? { ...event, message: readOutMessage(event.message) } : event,
  );
}

function readOutMessage(message: HandshakeMessage): object {
  if (message.type === "certificate") return { type: message.type, chain: message.chain };
  if (message.type !== "client_hello" && message.type !== "server_hello") return message;
  const { type } = message;
  const own: object = Object.getPrototypeOf(message);
  const getters = [Object.getPrototypeOf(own), own].flatMap((prototype: object) =>
    Object.entries(Object.getOwnPropertyDescriptors(prototype)),
  );
  const values = getters.flatMap(([name, { get }]) => (get === undefined ? [] : [[name, get.call(message)]]));
  if (values.length < 10) throw new Error("A hello tells more than that");
  const eager = type === "server_hello" ? { version: message.version, retry: message.helloRetryRequest } : {};
  return { type, ...eager, ...Object.fromEntries(values) };
}

/** The handshake messages of one direction that are of `type`. */
export function listMessages<Type extends string>(events: readonly TlsEvent[], type: Type) {
  return events.flatMap((event) =>
    event.kind === "handshake" && isOfType(event.message, type) ? [event.message] : [],
  );
}

function isOfType<Message extends { type: string }, Type extends string>(
  message: Message,
  type: Type,
): message is Extract<Message, { type: Type }> {
  return message.type === type;
}
