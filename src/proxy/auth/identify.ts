import { fail, type Outcome, succeed } from "../failure.ts";
import type { Presented } from "../handshake/tunnel-request.ts";
import type { Session } from "../session.ts";
import type { AuthOutcome } from "./authenticate.ts";

/** Seconds after which a client may try again when too many passwords were being checked. */
const RETRY_AFTER_SECONDS = 1;

/** Finds out who the client is: a user's name, or nobody in particular when the proxy asks for no credentials. */
export function identify(
  session: Session,
  presented: Presented,
): Outcome<string | undefined> | Promise<Outcome<string | undefined>> {
  const outcome = session.runtime.authenticator.authenticate(presented.values);
  return outcome instanceof Promise ? outcome.then((late) => accept(session, late)) : accept(session, outcome);
}

function accept(session: Session, outcome: AuthOutcome): Outcome<string | undefined> {
  if (outcome.ok) {
    session.user = outcome.user;
    return succeed(outcome.user);
  }
  return fail(outcome.detail, outcome.detail === "auth_busy" ? { retryAfterSeconds: RETRY_AFTER_SECONDS } : {});
}
