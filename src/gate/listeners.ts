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
  /** The port of the plan: 0 where the system chose. */
  readonly asked: number;
  /** The listening socket, where it can be told. */
  readonly fd: number | undefined;
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
  /** Nothing is left bound for it. */
  | ({ readonly ok: false; readonly plan: ListenPlan } & Unbound);

interface Unbound {
  /** The errno word. */
  readonly code: string;
  /** A listener that is to go and has the port. */
  readonly leaving?: BoundListener;
}

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
    const kept = plans.map((plan) => {
      const at = unused.findIndex((open) => open.isFor(plan));
      return at < 0 ? undefined : unused.splice(at, 1)[0];
    });
    const fresh: OpenListener[] = [];
    const next: { readonly open: OpenListener; readonly plan: ListenPlan }[] = [];
    for (const [at, plan] of plans.entries()) {
      const open = kept[at] ?? this.#bindBeside(unused, plan);
      if (!(open instanceof OpenListener)) {
        for (const listener of fresh) listener.close();
        return { ok: false, plan, ...open };
      }
      if (kept[at] === undefined) fresh.push(open);
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

  /**
   * Binds a listener. One that is to go has the port of `0.0.0.0:8080` when it is
   * `127.0.0.1:8080`: until it goes both are bound, so that no client is refused.
   */
  #bindBeside(leaving: readonly OpenListener[], plan: ListenPlan): OpenListener | Unbound {
    const open = OpenListener.bind(plan, this.#listen, this.#owner);
    if (open !== "EADDRINUSE") return typeof open === "string" ? { code: open } : open;
    const around = leaving.filter(({ bound }) => bound.port === plan.port);
    for (const listener of around) listener.share(true);
    const again = around.length === 0 ? open : OpenListener.bind(plan, this.#listen, this.#owner, plan.port, true);
    for (const listener of around) listener.share(false);
    return typeof again === "string" ? { code: again, ...(around[0] && { leaving: around[0].bound }) } : again;
  }

  /**
   * Stops accepting on all of them. Connections live on. Clients that wait in the
   * queue of a socket that another process serves on are left to it; with
   * `isShared` those in other queues are accepted first.
   */
  close(isShared: (bound: BoundListener) => boolean = () => true): void {
    for (const listener of this.#open) {
      if (isShared(listener.bound)) listener.close();
      else listener.retire();
    }
  }

  /** Stops accepting on all of them, and loses no connection that waits to be accepted. */
  retire(): void {
    for (const listener of this.#open) listener.retire();
  }

  /** Binds the same ones again after `close` or `retire`, with the ports that the system chose: all of them, or none. */
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
  static bind(
    plan: ListenPlan,
    listen: Listen,
    owner: ListenerOwner,
    at = plan.port,
    shared = false,
  ): OpenListener | string {
    const served: ServedNow = { listener: describe("", plan) };
    const result = listen(
      plan.host,
      at,
      (conn, from) => owner.accept(conn, from, served.listener),
      (from, port) => owner.turnAway(from, port, served.listener),
      shared,
    );
    return result.ok ? new OpenListener(plan, result.listener, served) : result.code;
  }

  private constructor(plan: ListenPlan, socket: TcpListener, served: ServedNow) {
    const { host } = plan;
    const { port, fd } = socket;
    this.bound = { host, port, name: formatListener(host, port), asked: plan.port, fd };
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

  /** Lets a listener of this process be bound to an address that overlaps, or not any more. */
  share(allowed: boolean): void {
    this.#socket.share?.(allowed);
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
