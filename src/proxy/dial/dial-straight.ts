import type { Ip } from "../../address/ip.ts";
import type { Conn } from "../../net/conn/conn.ts";
import type { Connect, ConnectAttempt, ConnectResult } from "../../net/runtime/connect.ts";
import { Deadlines, type Expiring } from "../../net/conn/deadlines.ts";
import { fail, type Outcome, succeed } from "../failure.ts";
import type { Runtime } from "../runtime.ts";
import type { DialledAddress } from "../session.ts";
import { judgeConnectError } from "./connect-error.ts";

/** A connection, and what was dialled for it. */
export interface Dialled {
  readonly conn: Conn;
  readonly address: DialledAddress;
}

/** What of a session the dial needs, and where it is written down. */
interface StraightSession {
  readonly runtime: { readonly timeouts: Pick<Runtime["timeouts"], "connectMs"> };
  dialled: DialledAddress | undefined;
}

/**
 * Connects to the one address that there is: nobody to ask, nobody to race
 * with. All of it within `connectMs`, of which `spentMs` are over, and only as
 * long as `client` is there. Most dials are of this kind, so it makes do with one promise.
 */
export function dialStraight(
  session: StraightSession,
  client: Conn | undefined,
  address: DialledAddress,
  source: Ip | undefined,
  connect: Connect,
  spentMs = 0,
): Outcome<Dialled> | Promise<Outcome<Dialled>> {
  if (client?.closed === true) return fail("client_gone");
  return new StraightDial(session, client, address, spentMs).start(source, connect);
}

class StraightDial implements Expiring {
  readonly #session: StraightSession;
  readonly #client: Conn | undefined;
  readonly #address: DialledAddress;
  readonly #outcome: PromiseWithResolvers<Outcome<Dialled>> = Promise.withResolvers();
  readonly #deadlines: Deadlines;
  readonly #turn: number;
  #attempt: ConnectAttempt | undefined;
  #over = false;

  constructor(session: StraightSession, client: Conn | undefined, address: DialledAddress, spentMs: number) {
    this.#session = session;
    this.#client = client;
    this.#address = address;
    this.#deadlines = client?.timers.deadlines ?? new Deadlines();
    this.#turn = this.#deadlines.start(this, session.runtime.timeouts.connectMs - spentMs);
  }

  start(source: Ip | undefined, connect: Connect): Promise<Outcome<Dialled>> {
    const target = source === undefined ? this.#address : { ...this.#address, source };
    // One function for both ends of the wait: a client that is gone calls it without a result.
    const hear = (result?: ConnectResult): void => {
      if (result === undefined) this.#giveUp(fail("client_gone"));
      else this.#take(result);
    };
    if (this.#client !== undefined) this.#client.whenClosed = hear;
    this.#attempt = connect(target, hear);
    return this.#outcome.promise;
  }

  expire(): void {
    this.#giveUp(fail("connection_timeout"));
  }

  #take(result: ConnectResult): void {
    if (!result.ok) {
      this.#end({ ok: false, failure: judgeConnectError(result.code) });
    } else if (this.#over) {
      result.conn.reset();
    } else {
      this.#session.dialled = this.#address;
      this.#end(succeed({ conn: result.conn, address: this.#address }));
    }
  }

  #giveUp(failure: Outcome<Dialled>): void {
    if (this.#over) return;
    this.#attempt?.cancel();
    this.#end(failure);
  }

  #end(outcome: Outcome<Dialled>): void {
    if (this.#over) return;
    this.#over = true;
    this.#deadlines.stop(this, this.#turn);
    if (this.#client !== undefined) this.#client.whenClosed = undefined;
    this.#outcome.resolve(outcome);
  }
}
