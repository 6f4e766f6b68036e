import type { Ip } from "../address/ip.ts";
import type { Conn } from "../net/conn/conn.ts";
import type { Listen, TcpListener } from "../net/runtime/listen.ts";
import type { Listener } from "../proxy/accept/listener.ts";

/** Where to listen, and for what. Port 0 lets the system choose. */
export interface ListenPlan extends Pick<Listener, "protocols" | "proxyFrom"> {
  readonly host: string;
  readonly port: number;
  readonly tls?: Listener["tls"];
}

export interface BoundListener {
  readonly host: string;
  /** The real port when 0 was asked for. */
  readonly port: number;
  /** `host:port`. */
  readonly name: string;
}

/** Takes the connections that listeners accept. */
export interface ListenerOwner {
  accept(conn: Conn, from: Ip, listener: Listener): void;
  /** A connection was reset right after accept, because no descriptor was left to serve it. */
  turnAway(from: Ip, port: number, listener: Listener): void;
}

/** A change of listeners that can be made: new ones are bound, and accept nothing yet. */
export interface ListenerChange {
  /** Puts it into effect in one step: serves the new plans, and closes the listeners that are in none. */
  commit(): void;
  /** Closes what was bound for it. */
  abandon(): void;
}

export type PreparedChange =
  | ({ readonly ok: true } & ListenerChange)
  /** Nothing is left bound for it. `code` is the errno word. */
  | { readonly ok: false; readonly plan: ListenPlan; readonly code: string };

export type BindResult = { readonly ok: true } | Extract<PreparedChange, { ok: false }>;

/** The listeners of a gate. A plan belongs to a socket by its address as it is written. */
export class Listeners {
  readonly #listen: Listen;
  readonly #owner: ListenerOwner;
  #open: readonly OpenListener[] = [];

  constructor(listen: Listen, owner: ListenerOwner) {
    this.#listen = listen;
    this.#owner = owner;
  }

  get bound(): readonly BoundListener[] {
    return this.#open.map(({ bound }) => bound);
  }

  /** Binds the addresses that are not bound yet, or none. `commit` must follow in the same turn of the event loop. */
  prepare(plans: readonly ListenPlan[]): PreparedChange {
    const unused = [...this.#open];
    const fresh: OpenListener[] = [];
    const next: { readonly open: OpenListener; readonly plan: ListenPlan }[] = [];
    for (const plan of plans) {
      const at = unused.findIndex((open) => open.isFor(plan));
      const [kept] = at < 0 ? [] : unused.splice(at, 1);
      const open = kept ?? OpenListener.bind(plan, this.#listen, this.#owner);
      if (typeof open === "string") {
        for (const listener of fresh) listener.close();
        return { ok: false, plan, code: open };
      }
      if (kept === undefined) fresh.push(open);
      next.push({ open, plan });
    }
    return {
      ok: true,
      commit: () => {
        for (const { open, plan } of next) open.serve(plan);
        this.#open = next.map(({ open }) => open);
        for (const listener of unused) listener.retire();
      },
      abandon: () => {
        for (const listener of fresh) listener.close();
      },
    };
  }

  /** Stops accepting on all of them. Connections live on. */
  close(): void {
    for (const listener of this.#open) listener.close();
  }

  /** Binds the same ones again after `close`, with the ports that the system chose: all of them, or none. */
  reopen(): BindResult {
    const fresh: OpenListener[] = [];
    for (const { plan, bound } of this.#open) {
      const open = OpenListener.bind(plan, this.#listen, this.#owner, bound.port);
      if (typeof open === "string") {
        for (const listener of fresh) listener.close();
        return { ok: false, plan: { ...plan, port: bound.port }, code: open };
      }
      fresh.push(open);
    }
    this.#open = fresh;
    return { ok: true };
  }
}

/** A socket that accepts, and what is served on it now. */
class OpenListener {
  readonly bound: BoundListener;
  plan: ListenPlan;
  readonly #socket: TcpListener;
  readonly #served: ServedNow;

  /** The listener, or the errno word. `at`: the port where it is not that of the plan. */
  static bind(plan: ListenPlan, listen: Listen, owner: ListenerOwner, at = plan.port): OpenListener | string {
    const served: ServedNow = { listener: describe("", plan) };
    const result = listen(
      plan.host,
      at,
      (conn, from) => owner.accept(conn, from, served.listener),
      (from, port) => owner.turnAway(from, port, served.listener),
    );
    return result.ok ? new OpenListener(plan, result.listener, served) : result.code;
  }

  private constructor(plan: ListenPlan, socket: TcpListener, served: ServedNow) {
    const { host } = plan;
    const { port } = socket;
    this.bound = { host, port, name: formatListener(host, port) };
    this.plan = plan;
    this.#socket = socket;
    this.#served = served;
    this.serve(plan);
  }

  isFor({ host, port }: ListenPlan): boolean {
    return this.plan.host === host && this.plan.port === port;
  }

  /** Serves connections that come from now on by this plan. */
  serve(plan: ListenPlan): void {
    this.plan = plan;
    this.#served.listener = describe(this.bound.name, plan);
  }

  close(): void {
    this.#socket.stop();
  }

  /** Closes it, and loses no connection that waits to be accepted. */
  retire(): void {
    this.#socket.acceptWaiting?.();
    this.#socket.stop();
  }
}

/** What the connections of a socket get. */
interface ServedNow {
  listener: Listener;
}

function describe(name: string, { protocols, proxyFrom, tls }: ListenPlan): Listener {
  return { name, protocols, proxyFrom, tls };
}

/** `host:port`, IPv6 in brackets. */
export function formatListener(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
