import { fail, type Outcome, succeed } from "../failure.ts";
import type { Presented } from "../handshake/read-credentials.ts";
import type { Session } from "../session.ts";
import type { Authenticator, AuthOutcome } from "./authenticate.ts";

/** Seconds after which a client may try again when too many passwords were being checked. */
const RETRY_AFTER_SECONDS = 1;

/** Finds out who the client is: a user's name, or nobody in particular when the proxy asks for no credentials. */
export function identify(
  session: Session,
  presented: Presented,
): Outcome<string | undefined> | Promise<Outcome<string | undefined>> {
  const outcome = judge(session.runtime.authenticator, presented);
  return outcome instanceof Promise ? outcome.then((late) => accept(session, late)) : accept(session, outcome);
}

function judge(authenticator: Authenticator, presented: Presented): AuthOutcome | Promise<AuthOutcome> {
  switch (presented.kind) {
    case "fields":
      return authenticator.authenticate(presented.values, presented);
    case "password":
      return authenticator.verifyPassword(presented.user, presented.password);
    case "nothing":
      return authenticator.authenticate([]);
    default:
      return presented satisfies never;
  }
}

function accept(session: Session, outcome: AuthOutcome): Outcome<string | undefined> {
  if (outcome.ok) {
    session.user = outcome.user;
    return succeed(outcome.user);
  }
  return fail(outcome.detail, {
    ...(outcome.detail === "auth_busy" && { retryAfterSeconds: RETRY_AFTER_SECONDS }),
    ...(outcome.stale && { stale: true }),
  });
}
