import { fail, type Outcome, succeed } from "../failure.ts";
import type { HookReport } from "../hook/hook-reporter.ts";
import type { Presented } from "../handshake/read-credentials.ts";
import type { Session } from "../session.ts";
import type { Authenticator, AuthOutcome } from "./authenticate.ts";

/** Seconds after which a client may try again when too many passwords were being checked. */
const RETRY_AFTER_SECONDS = 1;

const NO_VALUES: readonly string[] = [];
/** What most proxies find out. */
const NOBODY: Outcome<undefined> = succeed(undefined);

/** Who is told when the function that knows the users fails. */
export interface IdentifyServices {
  reportHook(report: HookReport): void;
}

/** Finds out who the client is: a user's name, or nobody in particular when the proxy asks for no credentials. */
export function identify(
  session: Session,
  presented: Presented,
  services: IdentifyServices,
): Outcome<string | undefined> | Promise<Outcome<string | undefined>> {
  // A certificate says who the client is, unless it says so itself with a password.
  if (session.certificateUser !== undefined && presented.kind === "nothing") {
    return accept(session, { ok: true, user: session.certificateUser }, services);
  }
  const outcome = judge(session.runtime.authenticator, presented);
  return outcome instanceof Promise
    ? outcome.then((late) => accept(session, late, services))
    : accept(session, outcome, services);
}

function judge(authenticator: Authenticator, presented: Presented): AuthOutcome | Promise<AuthOutcome> {
  switch (presented.kind) {
    case "fields":
      return authenticator.authenticate(presented.values, presented);
    case "password":
      return authenticator.verifyPassword(presented.user, presented.password);
    case "nothing":
      return authenticator.authenticate(NO_VALUES);
    default:
      return presented satisfies never;
  }
}

function accept(session: Session, outcome: AuthOutcome, services: IdentifyServices): Outcome<string | undefined> {
  if (outcome.ok) {
    // Where nobody is asked for a password, whatever a client shows says nothing, and its certificate still does.
    session.user = outcome.user ?? session.certificateUser;
    return session.user === undefined ? NOBODY : succeed(session.user);
  }
  if (outcome.fault !== undefined) services.reportHook({ hook: "users", fault: outcome.fault });
  return fail(outcome.detail, {
    ...(outcome.fault && { note: `the function of users ${outcome.fault.why}` }),
    ...(outcome.detail === "auth_busy" && { retryAfterSeconds: RETRY_AFTER_SECONDS }),
    ...(outcome.stale && { stale: true }),
  });
}
