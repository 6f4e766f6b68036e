import { fail, type Failure, succeed } from "../failure.ts";
import type { Conn } from "../../net/conn/conn.ts";
import type { Ip } from "../../address/ip.ts";
import { clientKey, type ClientPrefix } from "../../address/client-key.ts";
import type { Authenticator } from "./authenticate.ts";
import type { Secret } from "../../secret.ts";
import type { NameRead, UserParameters } from "../../protocol/user-parameters.ts";
import { parseBasicCredentials } from "../../protocol/http1/basic-credentials.ts";
import { parseDigestCredentials } from "../../protocol/http1/digest.ts";
import type { ExemptRange } from "./exempt-clients.ts";
import { cutText } from "../../escape-text.ts";
import type { Asker, AuthOutcome, CredentialChecks } from "./credential-checks.ts";
import type { HookReport } from "../hook/call-hook.ts";

/** Seconds after which a client may try again when too many passwords were being checked, or keys are missing. */
const RETRY_AFTER_SECONDS = 1;

/** The credentials that a client shows. */
export type Presented =
  /** Values of the `Proxy-Authorization` fields as sent, at least one, and the request that they come with. */
  | { readonly kind: "fields"; readonly values: readonly string[]; readonly method: string; readonly target: string }
  /** User name and password of RFC 1929. */
  | { readonly kind: "password"; readonly user: string; readonly password: Secret }
  | { readonly kind: "nothing" };

/** A client's certificate that was accepted in the handshake. */
export interface ShownCertificate {
  /** Who it is for. */
  readonly user: string;
  /** Why the listener does not accept it at `now` (milliseconds since the epoch); undefined as long as it does. */
  findFault(now: number): string | undefined;
}

/** The user, undefined where the proxy asks for no credentials; or why the user is not known. */
export type Identification =
  | {
      readonly ok: true;
      readonly value: string | undefined;
      /** The parameters in the user name. */
      readonly parameters?: UserParameters | undefined;
    }
  | {
      readonly ok: false;
      readonly failure: Failure;
      /** The user that came with a wrong password, for the record: nothing proves it. */
      readonly claimed?: string;
      readonly parameters?: UserParameters | undefined;
    };

const NO_VALUES: readonly string[] = [];
/** The result where no credentials are asked for. */
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

export interface IdentifyServices {
  readonly checks: CredentialChecks;
  /** Reports a failure of the function that knows the users. */
  reportHook(report: HookReport): void;
}

/** Prefix lengths of what one attacker can easily rent: addresses of one provider, an IPv6 allocation. */
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

  /** Most clients that send FIN while they wait have given up. Only writing to them could tell. */
  isGone(): boolean {
    return this.#conn.closed || this.#conn.ended;
  }
}

/** Finds out who the client is, by its credentials or its certificate; `exempt` is who it is without either. */
export function identify(
  from: Unidentified,
  client: Conn,
  presented: Presented,
  services: IdentifyServices,
  exempt?: ExemptRange,
): Identification | Promise<Identification> {
  const { certificate } = from;
  const fault = certificate?.findFault(Date.now());
  if (fault !== undefined) return fail("certificate_required", { note: `the client's certificate ${fault}` });
  // A certificate says who the client is, unless it says so itself with a password.
  if (certificate !== undefined && presented.kind === "nothing") return succeed(certificate.user);
  if (exempt !== undefined && presented.kind === "nothing") return succeed(exempt.user);
  const conclude = (outcome: AuthOutcome): Identification => {
    for (const each of services.checks.keys.takeFaults())
      services.reportHook({ hook: `users ${each.what}`, fault: each });
    // Where no password is asked for, a client's credentials prove nothing, and its certificate still does.
    if (outcome.ok) {
      const { user, parameters } = outcome;
      return user === undefined ? identifyByCertificate(certificate) : { ok: true, value: user, parameters };
    }
    if (outcome.fault !== undefined)
      services.reportHook({ hook: `users ${outcome.fault.what ?? "function"}`, fault: outcome.fault });
    return explainRefusal(outcome, presented, from.runtime.authenticator);
  };
  const outcome = judge(from, client, presented, services.checks);
  if (!(outcome instanceof Promise)) return conclude(outcome);
  return outcome.then((late) => {
    client.whenClosed = undefined;
    return conclude(late);
  });
}

function judge(
  from: Unidentified,
  client: Conn,
  presented: Presented,
  checks: CredentialChecks,
): AuthOutcome | Promise<AuthOutcome> {
  const { authenticator } = from.runtime;
  switch (presented.kind) {
    case "fields":
      return authenticator.authenticate(presented.values, checks, presented, new SessionAsker(from, client));
    case "password":
      return authenticator.verifyPassword(presented.user, presented.password, checks, new SessionAsker(from, client));
    case "nothing":
      return authenticator.authenticate(NO_VALUES, checks);
    default:
      return presented satisfies never;
  }
}

function identifyByCertificate(certificate: ShownCertificate | undefined): Identification {
  return certificate === undefined ? NOBODY : succeed(certificate.user);
}

function explainRefusal(
  { detail, fault, note, stale }: Extract<AuthOutcome, { ok: false }>,
  presented: Presented,
  { names }: Authenticator,
): Identification {
  const refusal = fail(detail, {
    ...(fault && { note: `the ${fault.what ?? "function"} of users ${fault.why}` }),
    ...(note !== undefined && { note }),
    ...((detail === "auth_busy" || detail === "keys_unavailable") && { retryAfterSeconds: RETRY_AFTER_SECONDS }),
    ...(stale && { stale: true }),
  });
  // The record shows which user's password is guessed.
  const claimed = detail === "credentials_wrong" ? readClaimedName(presented) : undefined;
  if (claimed === undefined || claimed === "") return refusal;
  const read: NameRead = names?.read(claimed) ?? { ok: true, user: claimed, parameters: undefined };
  return read.ok
    ? { ...refusal, claimed: cutText(read.user, MAX_NAME), parameters: read.parameters }
    : { ...refusal, claimed: cutText(claimed, MAX_NAME) };
}

/** UTF-16 code units of a name that anybody can make up. */
const MAX_NAME = 128;

/** Whom a client says that it is, for the record of a refusal: nothing of it was shown to be true. */
function readClaimedName(presented: Presented): string | undefined {
  return presented.kind === "password" ? presented.user : readFields(presented);
}

function readFields(presented: Presented): string | undefined {
  const value = presented.kind === "fields" ? (presented.values[0] ?? "") : "";
  const basic = parseBasicCredentials(value);
  if (basic.ok) return basic.credentials.user;
  const digest = parseDigestCredentials(value);
  return digest.ok ? digest.credentials.user : undefined;
}
