import { fail, type Outcome, succeed } from "../failure.ts";
import type { HookReport } from "../hook/hook-reporter.ts";
import type { Presented } from "../read/read-credentials.ts";
import type { Session } from "../session.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { clientKey } from "../limit/client-key.ts";
import type { AuthOutcome } from "./authenticate.ts";
import type { Asker } from "./password-verifier.ts";

/** Seconds after which a client may try again when too many passwords were being checked. */
const RETRY_AFTER_SECONDS = 1;

const NO_VALUES: readonly string[] = [];
/** What most proxies find out. */
const NOBODY: Outcome<undefined> = succeed(undefined);

/** Who is told when the function that knows the users fails. */
export interface IdentifyServices {
  reportHook(report: HookReport): void;
}

/** What one attacker can easily have, or rent: some addresses of a provider, an IPv6 allocation. */
const WIDER = { v4: 16, v6: 32 };

/** A client that waits on its connection. */
export class SessionAsker implements Asker {
  readonly #session: Session;
  readonly #conn: Conn;

  constructor(session: Session, conn: Conn) {
    this.#session = session;
    this.#conn = conn;
  }

  get client(): string {
    return clientKey(this.#session.client, this.#session.runtime.limits.clientPrefix);
  }

  get network(): string {
    return clientKey(this.#session.client, WIDER);
  }

  whenGone(tell: () => void): void {
    this.#conn.whenClosed = tell;
  }

  /** Most clients that end their side while they wait have given up; to find out, one would have to write to them. */
  isGone(): boolean {
    return this.#conn.closed || this.#conn.ended;
  }
}

/** Finds out who the client is: a user's name, or nobody in particular when the proxy asks for no credentials. */
export function identify(
  session: Session,
  client: Conn,
  presented: Presented,
  services: IdentifyServices,
): Outcome<string | undefined> | Promise<Outcome<string | undefined>> {
  const fault = session.certificate?.findFault(Date.now());
  if (fault !== undefined) return fail("certificate_required", { note: `the client's certificate ${fault}` });
  // A certificate says who the client is, unless it says so itself with a password.
  if (session.certificate !== undefined && presented.kind === "nothing") {
    return accept(session, { ok: true, user: session.certificate.user }, services);
  }
  const outcome = judge(session, client, presented);
  return outcome instanceof Promise
    ? outcome.then((late) => {
        client.whenClosed = undefined;
        return accept(session, late, services);
      })
    : accept(session, outcome, services);
}

function judge(session: Session, client: Conn, presented: Presented): AuthOutcome | Promise<AuthOutcome> {
  const { authenticator } = session.runtime;
  switch (presented.kind) {
    case "fields":
      return authenticator.authenticate(presented.values, presented, new SessionAsker(session, client));
    case "password":
      return authenticator.verifyPassword(presented.user, presented.password, new SessionAsker(session, client));
    case "nothing":
      return authenticator.authenticate(NO_VALUES);
    default:
      return presented satisfies never;
  }
}

function accept(session: Session, outcome: AuthOutcome, services: IdentifyServices): Outcome<string | undefined> {
  if (outcome.ok) {
    // Where nobody is asked for a password, whatever a client shows says nothing, and its certificate still does.
    session.user = outcome.user ?? session.certificate?.user;
    return session.user === undefined ? NOBODY : succeed(session.user);
  }
  if (outcome.fault !== undefined) services.reportHook({ hook: "users", fault: outcome.fault });
  return fail(outcome.detail, {
    ...(outcome.fault && { note: `the function of users ${outcome.fault.why}` }),
    ...(outcome.detail === "auth_busy" && { retryAfterSeconds: RETRY_AFTER_SECONDS }),
    ...(outcome.stale && { stale: true }),
  });
}
