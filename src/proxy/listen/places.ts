import type { Failure } from "../failure.ts";
import type { Session } from "../session.ts";
import type { Admission } from "./admission.ts";

/** What one connection takes of the limits: a place for its client, and one for the user of its current request. */
export class Places {
  readonly #admission: Admission;
  #leaveClient: (() => void) | undefined;
  #leaveUser: (() => void) | undefined;
  #user: string | undefined;

  constructor(admission: Admission) {
    this.#admission = admission;
  }

  /** Takes the client's place, unless it has one already; or says why there is none. */
  takeForClient({ client, runtime }: Session): Failure | undefined {
    if (this.#leaveClient !== undefined) return undefined;
    const place = this.#admission.admitClient(client, runtime);
    if (!place.ok) return place.failure;
    this.#leaveClient = place.value;
    return undefined;
  }

  /** Takes a place for the user of a request. On a kept connection the next request may be somebody else's. */
  takeForUser({ user, runtime }: Session): Failure | undefined {
    if (this.#leaveUser !== undefined && this.#user === user) return undefined;
    this.#leaveUser?.();
    this.#leaveUser = undefined;
    const place = this.#admission.admitUser(user, runtime);
    if (!place.ok) return place.failure;
    this.#user = user;
    this.#leaveUser = place.value;
    return undefined;
  }

  /** Gives everything back, once. */
  leave(): void {
    this.#leaveUser?.();
    this.#leaveClient?.();
    this.#leaveUser = undefined;
    this.#leaveClient = undefined;
  }
}
