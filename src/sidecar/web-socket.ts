import type { EventWatcher } from "../proxy/record/events/event-channel.ts";
import { acceptKey, ClientFrames, writeClose, writeFrame } from "../protocol/websocket/frame.ts";
import { answerProblem } from "./problem.ts";

/** The connection of a client, after it changed to another protocol. */
interface Socket {
  /** True once the system has taken all of it, false when the client has left. One call at a time. */
  write(bytes: Uint8Array): Promise<boolean>;
}

/** Changes the connection of a request to another protocol, in the shape of the server's. */
export interface Upgrade {
  accept(
    fields: Readonly<Record<string, string>>,
    protocol: { data(chunk: Uint8Array): void; ended(): void; serve(socket: Socket): Promise<void> },
  ): Response;
}

const VERSION = "13";
const GOING_AWAY = 1001;
const NORMAL = 1000;

/** What the server passes beside a request; undefined where the app runs without it. */
export function readUpgrade(environment: unknown): Upgrade | undefined {
  return isUpgrade(environment) ? environment : undefined;
}

function isUpgrade(value: unknown): value is Upgrade {
  return typeof value === "object" && value !== null && "accept" in value && typeof value.accept === "function";
}

/** Answers a request for a WebSocket (RFC 6455 §4.2) through which events go; or says what is wrong with it. */
export function openWebSocket(request: Request, upgrade: Upgrade | undefined, watch: () => EventWatcher): Response {
  const { headers } = request;
  if (upgrade === undefined) return answerProblem(501, "WebSockets are not served here.");
  if (!hasToken(headers.get("Upgrade"), "websocket") || !hasToken(headers.get("Connection"), "upgrade"))
    return answerProblem(400, 'Found an Upgrade field that is not "websocket", or no "Connection: Upgrade".');
  if (headers.get("Sec-WebSocket-Version") !== VERSION)
    return answerProblem(426, `Only version ${VERSION} of WebSocket is spoken here.`, {
      "Sec-WebSocket-Version": VERSION,
    });
  const key = headers.get("Sec-WebSocket-Key") ?? "";
  if (!/^[A-Za-z0-9+/]{22}==$/.test(key)) return answerProblem(400, "Sec-WebSocket-Key is not 16 bytes in base64.");
  return upgrade.accept({ Upgrade: "websocket", "Sec-WebSocket-Accept": acceptKey(key) }, new EventSocket(watch));
}

/** Sends events, answers pings, and closes when the client does. What the client says is passed over. */
class EventSocket {
  readonly #watch: () => EventWatcher;
  readonly #frames = new ClientFrames();
  #watcher: EventWatcher | undefined;
  #socket: Socket | undefined;
  /** The write that is under way, and what follows it. */
  #written: Promise<boolean> = Promise.resolve(true);
  #pong: Uint8Array | undefined;
  /** The code to close with, once there is a reason. */
  #code: number | undefined;

  constructor(watch: () => EventWatcher) {
    this.#watch = watch;
  }

  data(chunk: Uint8Array): void {
    if (this.#code !== undefined) return;
    const frames = this.#frames.read(chunk);
    if (typeof frames === "number") {
      this.#close(frames);
      return;
    }
    for (const { type, payload } of frames) {
      if (type === "close") this.#close(NORMAL);
      else if (type === "ping") this.#answer(payload);
    }
  }

  ended(): void {
    this.#close(GOING_AWAY);
  }

  async serve(socket: Socket): Promise<void> {
    this.#socket = socket;
    const watcher = this.#watch();
    this.#watcher = watcher;
    while (this.#code === undefined) {
      const chunk = await watcher.next();
      if (chunk === undefined || !(await this.#write(chunk))) break;
    }
    watcher.close();
    await this.#write(writeClose(this.#code ?? GOING_AWAY));
  }

  #close(code: number): void {
    this.#code ??= code;
    this.#watcher?.close();
  }

  /** A client that pings and does not read has one answer waiting at most. */
  #answer(payload: Uint8Array): void {
    const waits = this.#pong !== undefined;
    this.#pong = writeFrame("pong", payload);
    if (waits || this.#socket === undefined) return;
    void this.#written.then(() => {
      const pong = this.#pong;
      this.#pong = undefined;
      if (pong !== undefined) void this.#write(pong);
    });
  }

  /** One write after the other. */
  #write(bytes: Uint8Array): Promise<boolean> {
    this.#written = this.#written.then(() => this.#socket?.write(bytes) ?? false);
    return this.#written;
  }
}

function hasToken(field: string | null, token: string): boolean {
  return (field ?? "")
    .toLowerCase()
    .split(",")
    .some((part) => part.trim() === token);
}
