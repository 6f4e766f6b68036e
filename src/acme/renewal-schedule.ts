import { formatTime } from "../escape-text.ts";
import type { Tell } from "../operator-message.ts";
import type { KeptCertificate } from "./acme-files.ts";
import { readRenewalWindow } from "./answers.ts";
import { readRenewalId } from "./renewal-id.ts";
import {
  BEYOND_LOOKS_MS,
  chooseNextLook,
  chooseSuggestedTime,
  chooseUsualTime,
  findEarliestTime,
} from "./renewal-time.ts";
import { AcmeSession, type SessionOptions } from "./session.ts";

/** Milliseconds without a suggestion of the authority after one that failed. */
const LOOK_AGAIN_MS = 3_600_000;

export interface ScheduleParts {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly tell: Tell;
}

/** When to renew the certificate in use: when its authority suggests (RFC 9773), or else in good time before its end. */
export class RenewalSchedule {
  readonly #parts: ScheduleParts;
  #certificate: KeptCertificate | undefined;
  /** Milliseconds since the epoch: when to renew, not before which time, and when to ask the authority again. */
  #renewAt = 0;
  #earliestAt = 0;
  #lookAt = 0;
  #window = "";

  constructor(parts: ScheduleParts) {
    this.#parts = parts;
  }

  /** Milliseconds since the epoch; 0 where there is no certificate. */
  get renewAt(): number {
    return this.#renewAt;
  }

  /** Another certificate is in use, issued at `since`. */
  begin(certificate: KeptCertificate, since: number): void {
    const { random, now } = this.#parts;
    this.#certificate = certificate;
    this.#window = "";
    this.#earliestAt = findEarliestTime({ from: since, to: certificate.to });
    this.#renewAt = Math.max(chooseUsualTime(certificate, random()), this.#earliestAt);
    this.#lookAt = now();
  }

  /** Asks the authority when to renew, if it is time for that. Without an answer the time that was chosen stays. */
  async ask(options: SessionOptions, names: string): Promise<void> {
    const { now, random, tell } = this.#parts;
    const certificate = this.#certificate;
    const left = this.#lookAt - now();
    if (certificate === undefined || (left > 0 && left < BEYOND_LOOKS_MS)) return;
    this.#lookAt = now() + LOOK_AGAIN_MS * (0.75 + 0.5 * random());
    const session = await AcmeSession.open(options);
    if (!session.ok) return;
    const { renewalInfo } = session.value.directory;
    const id = readRenewalId(certificate.cert);
    if (renewalInfo === undefined || id === undefined) {
      this.#lookAt = now() + chooseNextLook(Infinity);
      return;
    }
    const answer = await session.value.get(`${renewalInfo.replace(/\/$/, "")}/${id}`);
    if (!answer.ok) {
      if (answer.fault.retryAfterMs !== undefined) this.#lookAt = now() + chooseNextLook(answer.fault.retryAfterMs);
      return;
    }
    this.#lookAt = now() + chooseNextLook(answer.value.retryAfterMs);
    const window = readRenewalWindow(answer.value.fields);
    if (window === undefined || certificate !== this.#certificate) return;
    // The moment in a window is chosen once.
    const text = JSON.stringify(window);
    if (text === this.#window) return;
    this.#window = text;
    this.#renewAt = Math.max(chooseSuggestedTime(window, certificate, random()), this.#earliestAt);
    if (window.explanation !== undefined)
      tell(
        `The authority asks to renew the certificate for ${names} at ${formatTime(this.#renewAt)}. It says why at ${window.explanation}.`,
        "warn",
      );
  }
}
