import type { Ip } from "../../address/ip.ts";
import type { Failure } from "../failure.ts";
import type { Runtime } from "../runtime.ts";
import type { Session } from "../session.ts";
import type { Admission } from "./admission.ts";

/** What one connection takes of the limits: a place for its client, and one for the user of its current request. */
export class Places {
  readonly #admission: Admission;
  /** Under which limits a place was taken, and by which user: a reload changes them meanwhile. */
  #clientLimits: Runtime | undefined;
  #user: string | undefined;
  #userLimits: Runtime | undefined;

  constructor(admission: Admission) {
    this.#admission = admission;
  }

  /** Takes the client's place, unless it has one already; or says why there is none. */
  takeForClient({ client, runtime }: Session): Failure | undefined {
    if (this.#clientLimits !== undefined) return undefined;
    const failure = this.#admission.admitClient(client, runtime);
    if (failure !== undefined) return failure;
    this.#clientLimits = runtime;
    return undefined;
  }

  /** Takes a place for the user of a request. On a kept connection the next request may be somebody else's. */
  takeForUser({ user, runtime }: Session): Failure | undefined {
    if (this.#userLimits !== undefined && this.#user === user) return undefined;
    this.#leaveUser();
    const failure = this.#admission.admitUser(user, runtime);
    if (failure !== undefined) return failure;
    this.#user = user;
    this.#userLimits = runtime;
    return undefined;
  }

  /** Gives everything back, once. `client` is who took the place. */
  leave(client: Ip): void {
    this.#leaveUser();
    if (this.#clientLimits === undefined) return;
    this.#admission.leaveClient(client, this.#clientLimits);
    this.#clientLimits = undefined;
  }

  #leaveUser(): void {
    if (this.#userLimits !== undefined) this.#admission.leaveUser(this.#user, this.#userLimits);
    this.#userLimits = undefined;
  }
}
