import type { Ip } from "../../address/ip.ts";
import type { Conn } from "../../net/conn/conn.ts";
import type { Connect, ConnectAttempt, ConnectResult } from "../../net/runtime/connect.ts";
import { Deadlines, type Expiring } from "../../net/conn/deadlines.ts";
import { fail, type Outcome, succeed } from "../failure.ts";
import type { Connected, DialledAddress } from "./connect-race.ts";
import { judgeConnectError } from "./connect-error.ts";

/**
 * Connects to the one address that there is: nobody to ask, nobody to race
 * with. All of it within `ms`, and only as long as `client` is there. Most dials are of this kind, so it makes do with one promise.
 */
export function dialStraight(
  address: DialledAddress,
  { client, ms, source, connect }: StraightOptions,
): Outcome<Connected> | Promise<Outcome<Connected>> {
  if (client?.closed === true) return fail("client_gone");
  return new StraightDial(address, client, ms).start(source, connect);
}

interface StraightOptions {
  readonly client: Conn | undefined;
  /** Milliseconds until the dial ends. */
  readonly ms: number;
  readonly source: Ip | undefined;
  readonly connect: Connect;
}

class StraightDial implements Expiring {
  readonly #client: Conn | undefined;
  readonly #address: DialledAddress;
  readonly #outcome: PromiseWithResolvers<Outcome<Connected>> = Promise.withResolvers();
  readonly #deadlines: Deadlines;
  readonly #turn: number;
  #attempt: ConnectAttempt | undefined;
  #over = false;

  constructor(address: DialledAddress, client: Conn | undefined, ms: number) {
    this.#client = client;
    this.#address = address;
    this.#deadlines = client?.timers.deadlines ?? new Deadlines();
    this.#turn = this.#deadlines.start(this, ms);
  }

  start(source: Ip | undefined, connect: Connect): Promise<Outcome<Connected>> {
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
      this.#end(succeed({ conn: result.conn, address: this.#address }));
    }
  }

  #giveUp(failure: Outcome<Connected>): void {
    if (this.#over) return;
    this.#attempt?.cancel();
    this.#end(failure);
  }

  #end(outcome: Outcome<Connected>): void {
    if (this.#over) return;
    this.#over = true;
    this.#deadlines.stop(this, this.#turn);
    if (this.#client !== undefined) this.#client.whenClosed = undefined;
    this.#outcome.resolve(outcome);
  }
}
