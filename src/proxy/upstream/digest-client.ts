import { randomBytes } from "node:crypto";
import { answerDigestChallenge, chooseDigestChallenge, type DigestChallenge } from "../../protocol/http1/digest.ts";
import type { Secret } from "../../secret.ts";

/** What to do after a 407: ask again with an answer, or give up. */
export type DigestRefusal =
  | "retry"
  /** The user name or the password is wrong. */
  | "rejected"
  /** There is no challenge that can be answered here. */
  | "unsupported";

/** Answers in one exchange: one to a remembered challenge, one to a new one, one when that was stale already. */
const MAX_ANSWERS = 3;

/** What an upstream proxy asked last, and how often it was answered. */
interface Remembered {
  readonly challenge: DigestChallenge;
  count: number;
}

/** Our credentials at one upstream proxy, with the challenge it gave last: connections after the first are answered for at once. */
export class DigestClient {
  readonly #user: string;
  readonly #password: Secret;
  readonly #createCnonce: () => string;
  #latest: Remembered | undefined;

  constructor(user: string, password: Secret, createCnonce = () => randomBytes(18).toString("base64")) {
    this.#user = user;
    this.#password = password;
    this.#createCnonce = createCnonce;
  }

  /** Whether it answers with these credentials. */
  isFor(user: string, password: Secret): boolean {
    return this.#user === user && this.#password.reveal() === password.reveal();
  }

  /** The challenge that came last, from whichever connection. */
  get latest(): Remembered | undefined {
    return this.#latest;
  }

  /** Begins one request, which may take several attempts. */
  begin(): DigestExchange {
    return new DigestExchange(this);
  }

  remember(challenge: DigestChallenge): Remembered {
    this.#latest = { challenge, count: 0 };
    return this.#latest;
  }

  /** The challenge is not to be answered any more: nothing is known again. */
  forget(): void {
    this.#latest = undefined;
  }

  /** Answers once more; undefined when user name or password have no form in a field. */
  answer(remembered: Remembered, method: string, uri: string): string | undefined {
    remembered.count += 1;
    const counted = { cnonce: this.#createCnonce(), nonceCount: remembered.count };
    const who = { user: this.#user, password: this.#password };
    return answerDigestChallenge(remembered.challenge, { ...who, method, uri, counted });
  }
}

/** One request to an upstream proxy: `authorize` before each attempt, `refuse` after each 407. */
export class DigestExchange {
  readonly #client: DigestClient;
  #received: Remembered | undefined;
  #answers = 0;
  #answeredReceived = false;

  constructor(client: DigestClient) {
    this.#client = client;
  }

  /**
   * The Proxy-Authorization value, `uri` being the request-target. Undefined as
   * long as nothing was asked, and when the credentials have no form in a field.
   */
  authorize(method: string, uri: string): string | undefined {
    const remembered = this.#received ?? this.#client.latest;
    if (remembered === undefined) return undefined;
    this.#answers += 1;
    this.#answeredReceived = this.#received !== undefined;
    return this.#client.answer(remembered, method, uri);
  }

  /** Takes the Proxy-Authenticate values of a 407. */
  refuse(fieldValues: readonly string[]): DigestRefusal {
    const challenge = chooseDigestChallenge(fieldValues);
    if (challenge === undefined) return "unsupported";
    // An answer to a remembered challenge may have been too late, said so or not.
    if ((this.#answeredReceived && !challenge.stale) || this.#answers >= MAX_ANSWERS) return "rejected";
    this.#received = this.#client.remember(challenge);
    return "retry";
  }
}
