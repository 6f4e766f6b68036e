import type { Ip } from "../../address/ip.ts";
import type { Failure } from "../failure.ts";
import type { Holder, Lingering } from "../read/lingering.ts";
import type { Runtime } from "../runtime.ts";
import type { Session } from "../session.ts";
import { type Admission, IN_ALL } from "./admission.ts";
import { clientKey } from "./client-key.ts";

/** What one connection takes of the limits: a place for its client, and one for the user of its current request. */
export class ConnectionSlots {
  readonly #admission: Admission;
  readonly #lingering: Lingering;
  /** Under which limits a place was taken, and by which user: a reload changes them meanwhile. */
  #clientLimits: Runtime | undefined;
  #user: string | undefined;
  #userLimits: Runtime | undefined;

  constructor(admission: Admission, lingering: Lingering) {
    this.#admission = admission;
    this.#lingering = lingering;
  }

  /** Takes the client's place, unless it has one already; or says why there is none. `fd` is the client's descriptor. */
  takeForClient(session: Session, fd: number): Failure | undefined {
    const { client, runtime } = session;
    if (this.#clientLimits !== undefined) return undefined;
    const exhausted = this.#admission.judgeDescriptor(fd);
    if (exhausted !== undefined) return exhausted;
    const lingering = this.#lingering;
    if (lingering.size > 0) lingering.yieldDescriptors(this.#admission.connections + 1);
    const failure = this.#admit(() => this.#admission.admitClient(client, runtime), sharesClient(session));
    if (failure !== undefined) return failure;
    this.#clientLimits = runtime;
    return undefined;
  }

  /** Takes a place for the user of a request. On a kept connection the next request may be somebody else's. */
  takeForUser(session: Session): Failure | undefined {
    const { user, runtime } = session;
    if (this.#userLimits !== undefined && this.#user === user) return undefined;
    this.#leaveUser();
    const failure = this.#admit(
      () => this.#admission.admitUser(user, runtime),
      (holder) => holder.user === user,
    );
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

  /** Takes a place; where there is none, from those who have got their last response and only linger. */
  #admit(take: () => Failure | undefined, shares: (holder: Holder) => boolean): Failure | undefined {
    for (;;) {
      const failure = take();
      if (failure?.detail !== "too_many_connections" && failure?.detail !== "out_of_resources") return failure;
      const isGeneral = failure.detail === "out_of_resources" || failure.note === IN_ALL;
      if (!this.#lingering.giveUpOldest(isGeneral ? () => true : shares)) return failure;
    }
  }

  #leaveUser(): void {
    if (this.#userLimits !== undefined) this.#admission.leaveUser(this.#user, this.#userLimits);
    this.#userLimits = undefined;
  }
}

/** Whether a connection that lingers counts for the same client. */
function sharesClient({ client, runtime }: Session): (holder: Holder) => boolean {
  const prefix = runtime.limits.clientPrefix;
  const key = clientKey(client, prefix);
  return (holder) => clientKey(holder.client, prefix) === key;
}
