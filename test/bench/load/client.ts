import { MSG_DONTWAIT, MSG_NOSIGNAL, MSG_TRUNC } from "../../../src/net/libc/constants.ts";
import { isTransient } from "../../../src/net/libc/errno.ts";
import { Latencies } from "./latencies.ts";
import { readable, Reactor, writable, type Handler } from "./reactor.ts";
import { encodeAmount, listHandshakeSteps, wish, type Handshake } from "./wire.ts";

/** What one run of the load client is to do; comes as JSON in the first argument. */
export interface LoadOrder {
  readonly port: number;
  readonly originPort: number;
  readonly handshake: Handshake;
  readonly kind: "down" | "up" | "both" | "echo" | "setup" | "fetch" | "idle" | "slow";
  /** Tunnels at once. */
  readonly tunnels: number;
  /** Bytes of a message, for `echo` and `setup`; bytes that a tunnel carries, for `fetch`. */
  readonly messageBytes: number;
  /** How long to measure, in milliseconds. */
  readonly ms: number;
  /** Milliseconds of load before measuring. */
  readonly warmUpMs?: number;
  /** For `setup`: nothing is opened before measuring, which ends with so many tunnels. */
  readonly first?: number;
}

/** What it found out, as one line of JSON on standard output. */
export interface LoadResult {
  readonly seconds: number;
  /** Bytes for transfers, round trips for `echo`, tunnels for `setup`, `idle` and `fetch`, where a part of one counts as such. */
  readonly units: number;
  /** Milliseconds: of a round trip, or of a tunnel from connect to the last byte. */
  readonly p50: number;
  readonly p99: number;
  readonly failures: number;
}

const order = JSON.parse(process.argv[2] ?? "{}") as LoadOrder;
const reactor = new Reactor();
const { libc } = reactor;
const steps = listHandshakeSteps(order.handshake, order.originPort);
const block = new Uint8Array(262_144).fill(0x79);
const scratch = new Uint8Array(65_536);
const latencies = new Latencies();
const wishes = {
  down: wish.flood,
  up: wish.sink,
  both: wish.both,
  echo: wish.echo,
  setup: wish.echo,
  fetch: wish.amount,
  idle: wish.echo,
  slow: wish.flood,
} as const;
const greeting = order.kind === "fetch" ? encodeAmount(order.messageBytes) : Uint8Array.of(wishes[order.kind]);
const message = new Uint8Array(order.kind === "fetch" ? 0 : order.messageBytes).fill(0x7a);
const firstMessage = Buffer.concat([greeting, message]);
/** Whether a tunnel ends when it has what it asked for, and another takes its place. */
const isPassing = order.kind === "setup" || order.kind === "fetch";
/** Units after which measuring ends before its time. */
const most = order.first ?? Infinity;
let units = 0;
let failures = 0;
let up = 0;
let measuring = false;
/** Tunnels that are up and wait for the last to be, so that the traffic of the first does not keep the others out. */
let waiting: Tunnel[] | undefined = isPassing ? undefined : [];

class Tunnel implements Handler {
  readonly #fd: number;
  readonly #startedAt = performance.now();
  #step = -1;
  #received = 0;
  #sentAt = 0;
  #isUp = false;
  #hasFailed = false;
  #unsent: Uint8Array | undefined;

  constructor() {
    this.#fd = reactor.connect(order.port);
    reactor.watch(this.#fd, this, writable);
  }

  onEvent(events: number): void {
    if (this.#step < 0) {
      this.#step = 0;
      reactor.change(this.#fd, readable);
      this.#advance();
    } else if (!this.#isUp) this.#readAnswer();
    else {
      if ((events & ~writable) !== 0) this.#read();
      if ((events & writable) !== 0) this.#write();
    }
  }

  #send(bytes: Uint8Array): void {
    const sent = libc.send(this.#fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && !isTransient(sent)) return this.#fail();
    if (sent < bytes.length) {
      this.#unsent = bytes.subarray(Math.max(0, sent));
      reactor.change(this.#fd, readable | writable);
    } else if (this.#unsent !== undefined) {
      this.#unsent = undefined;
      reactor.change(this.#fd, readable);
    }
  }

  #advance(): void {
    const step = steps[this.#step];
    if (step !== undefined) return this.#send(step.say);
    this.#isUp = true;
    up += 1;
    if (waiting === undefined) this.begin();
    else waiting.push(this);
  }

  /** Begins what tunnels are for; one that ended before its time does nothing. */
  begin(): void {
    if (this.#hasFailed) return;
    this.#sentAt = performance.now();
    if (order.kind === "echo" || order.kind === "setup") return this.#send(firstMessage);
    if (order.kind === "idle") return;
    this.#send(greeting);
    if (order.kind === "up") reactor.change(this.#fd, writable);
    if (order.kind === "both") reactor.change(this.#fd, readable | writable);
    if (order.kind === "slow") reactor.change(this.#fd, 0);
  }

  #readAnswer(): void {
    const count = libc.receive(this.#fd, scratch, scratch.length, MSG_DONTWAIT);
    if (isTransient(count)) return;
    if (count <= 0) return this.#fail();
    const wanted = steps[this.#step]?.answerBytes ?? 0;
    this.#received += count;
    if (wanted === 0) {
      const text = Buffer.from(scratch.buffer, 0, count).toString("latin1");
      if (!/^HTTP\/1\.[01] 200/.test(text)) return this.#fail();
      if (!text.endsWith("\r\n\r\n")) return;
    } else if (this.#received < wanted) return;
    this.#received = 0;
    this.#step += 1;
    this.#advance();
  }

  #read(): void {
    const flags = MSG_DONTWAIT | MSG_TRUNC;
    const count = libc.receive(this.#fd, scratch, 4_194_304, flags);
    if (count <= 0) {
      if (!isTransient(count)) this.#fail();
      return;
    }
    if (order.kind === "echo" || order.kind === "setup") return this.#answered(count);
    if (order.kind === "fetch") return this.#fetched(count);
    if (measuring) units += count;
  }

  #answered(count: number): void {
    this.#received += count;
    if (this.#received < message.length) return;
    this.#received = 0;
    const now = performance.now();
    if (measuring) {
      units += 1;
      latencies.add(now - (order.kind === "setup" ? this.#startedAt : this.#sentAt));
    }
    if (order.kind === "setup") return this.#giveWay();
    this.#sentAt = now;
    this.#send(message);
  }

  #fetched(count: number): void {
    this.#received += count;
    if (measuring) units += count / order.messageBytes;
    if (this.#received < order.messageBytes) return;
    if (measuring) latencies.add(performance.now() - this.#startedAt);
    this.#giveWay();
  }

  #giveWay(): void {
    reactor.close(this.#fd);
    up -= 1;
    new Tunnel();
  }

  #write(): void {
    if (this.#unsent !== undefined) this.#send(this.#unsent);
    else this.#flood();
  }

  #flood(): void {
    const sent = libc.send(this.#fd, block, block.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0 && measuring) units += sent;
    else if (sent < 0 && !isTransient(sent)) this.#fail();
  }

  #fail(): void {
    failures += 1;
    this.#hasFailed = true;
    reactor.close(this.#fd);
    if (this.#isUp) up -= 1;
    if (failures > 1000 + order.tunnels) throw new Error("Too many tunnels failed.");
    if (isPassing) new Tunnel();
  }
}

/** Waits until all tunnels are up, opening few at a time so that no backlog overflows. */
function openTunnels(): void {
  let begun = 0;
  const deadline = performance.now() + 60_000;
  while (isPassing ? begun < order.tunnels : up + failures < order.tunnels) {
    while (begun < order.tunnels && begun - up - failures < 64) {
      new Tunnel();
      begun += 1;
    }
    reactor.turn(100);
    if (performance.now() > deadline) throw new Error(`Only ${up} of ${order.tunnels} tunnels are up after a minute.`);
  }
  const ready = waiting ?? [];
  waiting = undefined;
  for (const tunnel of ready) tunnel.begin();
}

function turnFor(ms: number): void {
  const end = performance.now() + ms;
  for (let now = performance.now(); now < end && units < most; now = performance.now())
    reactor.turn(Math.ceil(end - now));
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Waits for a line from whoever runs this. Traffic stands still meanwhile, which is not long. */
function waitForLine(): void {
  libc.fcntl(0, 4, 0);
  libc.read(0, scratch, scratch.length);
}

/**
 * Long enough for a proxy to notice what kind of tunnels these are (of many,
 * each is served more seldom), and to compile what runs for each new one.
 */
function chooseWarmUpMs(): number {
  if (order.warmUpMs !== undefined) return order.warmUpMs;
  if (order.kind === "idle") return 100;
  return isPassing ? 1500 : 400 + order.tunnels;
}

if (order.first === undefined) {
  openTunnels();
  turnFor(chooseWarmUpMs());
}
say({ event: "ready" });
waitForLine();
measuring = true;
const begin = performance.now();
if (order.first !== undefined) openTunnels();
turnFor(order.ms);
const seconds = (performance.now() - begin) / 1000;
measuring = false;
if (order.kind === "idle" || order.kind === "slow") units = up;
const result: LoadResult = { seconds, units, p50: latencies.at(0.5), p99: latencies.at(0.99), failures };
say({ event: "done", ...result });
waitForLine();
process.exit(0);
