import { type Frame, MAX_DESCRIPTORS } from "./frame.ts";
import { isCount, type JsonValue, readListOf, readObject } from "./json-value.ts";

/** A listening socket that is offered, by what a configuration says of it. One descriptor each, in this order. */
export type OfferedSocket =
  | {
      readonly kind: "listener" | "sidecar";
      /** As the configuration writes them: port 0 lets the system choose. */
      readonly host: string;
      readonly port: number;
      /** The real port. */
      readonly bound: number;
    }
  /** The Unix socket of the sidecar. */
  | { readonly kind: "unix"; readonly path: string }
  /** A socket of the service manager. */
  | { readonly kind: "activated"; readonly name: string };

/** State of modules, by the name that each module chose. Names that a program does not know are left alone. */
export type NamedState = Readonly<Record<string, JsonValue>>;

/** From the old process to its successor, first of all: what to listen on, and what to know. */
export interface Offer {
  readonly kind: "offer";
  /** The version of the program. */
  readonly program: string;
  readonly pid: number;
  /** Milliseconds of the system's monotonic clock at which the clock of the process was 0. */
  readonly clockOriginMs: number;
  readonly sockets: readonly OfferedSocket[];
  readonly state: NamedState;
}

/** From the successor: it accepts connections. */
export interface Ready {
  readonly kind: "ready";
  readonly program: string;
  readonly pid: number;
  /** Which of the offered sockets it serves, by their places in the offer. */
  readonly used: readonly number[];
  /** It understands `state`, which older programs do not. */
  readonly takesState?: true;
}

/** From the successor: it ends, for these reasons. */
export interface Failed {
  readonly kind: "failed";
  /** Its exit code. */
  readonly code: number;
  readonly problems: readonly string[];
}

/** Connections to serve on. The descriptors of the first one come first. */
export interface Connections {
  readonly kind: "connections";
  readonly batch: number;
  readonly connections: readonly { readonly descriptors: number; readonly state: JsonValue }[];
}

/** From the successor: it serves the connections of a batch, but for these. */
export interface Taken {
  readonly kind: "taken";
  readonly batch: number;
  readonly refused: readonly number[];
}

export type HandoverMessage =
  | Offer
  | Ready
  | Failed
  /** To the successor: the old process has stopped accepting. */
  | { readonly kind: "confirmed" }
  | Connections
  | Taken
  /** To the successor: more state, which was too much for the offer. */
  | { readonly kind: "state"; readonly state: NamedState }
  /** To the successor: nothing more comes. The state is what has changed since the offer. */
  | { readonly kind: "done"; readonly state: NamedState }
  /** From the successor: it does not accept any more, so it takes no more connections. */
  | { readonly kind: "leaving" }
  /** From the successor: it may close listeners from now on, so the old process must not keep their sockets. */
  | { readonly kind: "settled" };

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** How many descriptors belong to a message. */
function countDescriptors(message: HandoverMessage): number {
  switch (message.kind) {
    case "offer":
      return message.sockets.length;
    case "connections":
      return message.connections.reduce((total, { descriptors }) => total + descriptors, 0);
    case "ready":
    case "failed":
    case "confirmed":
    case "taken":
    case "state":
    case "done":
    case "leaving":
    case "settled":
      return 0;
  }
}

/** The frame of a message. */
export function encodeMessage(message: HandoverMessage): Frame {
  const { kind, ...members } = message;
  return { kind, descriptors: countDescriptors(message), payload: encoder.encode(JSON.stringify(members)) };
}

/** The message in a frame; undefined when it is not one, or not with so many descriptors. Members that are not known are left alone. */
export function decodeMessage(frame: Frame): HandoverMessage | undefined {
  const members = parseObject(frame.payload);
  const message = members && readMessage(frame.kind, members);
  return message !== undefined && countDescriptors(message) === frame.descriptors ? message : undefined;
}

function parseObject(payload: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    return readObject(JSON.parse(decoder.decode(payload)));
  } catch {
    return undefined;
  }
}

function readMessage(kind: Frame["kind"], members: Readonly<Record<string, unknown>>): HandoverMessage | undefined {
  const { program, pid, code, batch } = members;
  switch (kind) {
    case "offer": {
      const { clockOriginMs } = members;
      const sockets = readListOf(members["sockets"], readSocket);
      const state = readObject(members["state"]) as NamedState | undefined;
      if (typeof program !== "string" || !isCount(pid) || !sockets || !state) return undefined;
      if (typeof clockOriginMs !== "number" || !Number.isFinite(clockOriginMs)) return undefined;
      return { kind, program, pid, clockOriginMs, sockets, state };
    }
    case "ready": {
      const used = readListOf(members["used"], readIndex);
      const takes = members["takesState"] === true ? ({ takesState: true } as const) : {};
      return typeof program === "string" && isCount(pid) && used ? { kind, program, pid, used, ...takes } : undefined;
    }
    case "failed": {
      const problems = readListOf(members["problems"], (item) => (typeof item === "string" ? item : undefined));
      return isCount(code, 255) && problems ? { kind, code, problems } : undefined;
    }
    case "connections": {
      const connections = readListOf(members["connections"], readConnection);
      return isCount(batch) && connections ? { kind, batch, connections } : undefined;
    }
    case "taken": {
      const refused = readListOf(members["refused"], readIndex);
      return isCount(batch) && refused ? { kind, batch, refused } : undefined;
    }
    case "state":
    case "done": {
      const state = readObject(members["state"]) as NamedState | undefined;
      return state && { kind, state };
    }
    case "confirmed":
    case "leaving":
    case "settled":
      return { kind };
  }
}

function readIndex(item: unknown): number | undefined {
  return isCount(item, MAX_DESCRIPTORS - 1) ? item : undefined;
}

function readSocket(item: unknown): OfferedSocket | undefined {
  const members = readObject(item);
  const { kind, host, port, bound, path, name } = members ?? {};
  switch (kind) {
    case "listener":
    case "sidecar":
      return typeof host === "string" && isCount(port, 65_535) && isCount(bound, 65_535)
        ? { kind, host, port, bound }
        : undefined;
    case "unix":
      return typeof path === "string" ? { kind, path } : undefined;
    case "activated":
      return typeof name === "string" ? { kind, name } : undefined;
    default:
      return undefined;
  }
}

function readConnection(item: unknown): Connections["connections"][number] | undefined {
  const members = readObject(item);
  const descriptors = members?.["descriptors"];
  if (!members || !isCount(descriptors, MAX_DESCRIPTORS) || !Object.hasOwn(members, "state")) return undefined;
  return { descriptors, state: members["state"] as JsonValue };
}
