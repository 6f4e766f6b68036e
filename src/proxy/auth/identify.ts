import { fail, type Failure, succeed } from "../failure.ts";
import type { HookReport } from "../hook/hook-reporter.ts";
import type { Presented } from "../read/read-credentials.ts";
import type { ShownCertificate } from "../session.ts";
import type { Conn } from "../../net/conn/conn.ts";
import type { Ip } from "../../address/ip.ts";
import { clientKey, type ClientPrefix } from "../limit/client-key.ts";
import type { Authenticator, AuthOutcome } from "./authenticate.ts";
import { readClaimedUser } from "./claimed-user.ts";
import type { Asker } from "./password-verifier.ts";

/** Seconds after which a client may try again when too many passwords were being checked. */
const RETRY_AFTER_SECONDS = 1;

/** The user, undefined where the proxy asks for no credentials; or why the user is not known. */
export type Identification =
  | { readonly ok: true; readonly value: string | undefined }
  | {
      readonly ok: false;
      readonly failure: Failure;
      /** The name that came with a wrong password, for the record: nothing proves it. */
      readonly claimed?: string;
    };

const NO_VALUES: readonly string[] = [];
/** What most proxies find out. */
const NOBODY: Identification = succeed(undefined);

/** A client that is to be identified, and the snapshot that knows the users. */
export interface Unidentified {
  readonly client: Ip;
  readonly certificate: ShownCertificate | undefined;
  readonly runtime: {
    readonly authenticator: Authenticator;
    readonly limits: { readonly clientPrefix: ClientPrefix };
  };
}

/** Who is told when the function that knows the users fails. */
export interface IdentifyServices {
  reportHook(report: HookReport): void;
}

/** What one attacker can easily have, or rent: some addresses of a provider, an IPv6 allocation. */
const WIDER = { v4: 16, v6: 32 };

/** A client that waits on its connection. */
export class SessionAsker implements Asker {
  readonly #from: Pick<Unidentified, "client" | "runtime">;
  readonly #conn: Conn;

  constructor(from: Pick<Unidentified, "client" | "runtime">, conn: Conn) {
    this.#from = from;
    this.#conn = conn;
  }

  get client(): string {
    return clientKey(this.#from.client, this.#from.runtime.limits.clientPrefix);
  }

  get network(): string {
    return clientKey(this.#from.client, WIDER);
  }

  whenGone(tell: () => void): void {
    this.#conn.whenClosed = tell;
  }

  /** Most clients that end their side while they wait have given up; to find out, one would have to write to them. */
  isGone(): boolean {
    return this.#conn.closed || this.#conn.ended;
  }
}

/** Finds out who the client is, by its credentials or its certificate. */
export function identify(
  from: Unidentified,
  client: Conn,
  presented: Presented,
  services: IdentifyServices,
): Identification | Promise<Identification> {
  const { certificate } = from;
  const fault = certificate?.findFault(Date.now());
  if (fault !== undefined) return fail("certificate_required", { note: `the client's certificate ${fault}` });
  // A certificate says who the client is, unless it says so itself with a password.
  if (certificate !== undefined && presented.kind === "nothing") return succeed(certificate.user);
  const conclude = (outcome: AuthOutcome): Identification => {
    // Where no password is asked for, a client's credentials prove nothing, and its certificate still does.
    if (outcome.ok) return outcome.user === undefined ? identifyByCertificate(certificate) : succeed(outcome.user);
    if (outcome.fault !== undefined) services.reportHook({ hook: "users", fault: outcome.fault });
    return explainRefusal(outcome, presented);
  };
  const outcome = judge(from, client, presented);
  if (!(outcome instanceof Promise)) return conclude(outcome);
  return outcome.then((late) => {
    client.whenClosed = undefined;
    return conclude(late);
  });
}

function judge(from: Unidentified, client: Conn, presented: Presented): AuthOutcome | Promise<AuthOutcome> {
  const { authenticator } = from.runtime;
  switch (presented.kind) {
    case "fields":
      return authenticator.authenticate(presented.values, presented, new SessionAsker(from, client));
    case "password":
      return authenticator.verifyPassword(presented.user, presented.password, new SessionAsker(from, client));
    case "nothing":
      return authenticator.authenticate(NO_VALUES);
    default:
      return presented satisfies never;
  }
}

function identifyByCertificate(certificate: ShownCertificate | undefined): Identification {
  return certificate === undefined ? NOBODY : succeed(certificate.user);
}

function explainRefusal(
  { detail, fault, stale }: Extract<AuthOutcome, { ok: false }>,
  presented: Presented,
): Identification {
  const refusal = fail(detail, {
    ...(fault && { note: `the function of users ${fault.why}` }),
    ...(detail === "auth_busy" && { retryAfterSeconds: RETRY_AFTER_SECONDS }),
    ...(stale && { stale: true }),
  });
  // The record shows which user's password is guessed.
  const claimed = detail === "credentials_wrong" ? readClaimedUser(presented) : undefined;
  return claimed === undefined ? refusal : { ...refusal, claimed };
}
