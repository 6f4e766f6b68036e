import { clientKey } from "../../address/client-key.ts";
import { parseIp } from "../../address/ip.ts";
import { askWebhookRule, type RuleAnswer, type Webhook, WebhookFault } from "../hook/webhook.ts";
import { ExpiringLru } from "./expiring-lru.ts";
import { FairQueue } from "./fair-queue.ts";

/** What a rule's webhook is asked, as JSON. Has no secrets: of a path the query is left out. */
export interface RuleQuestion {
  readonly client: string;
  readonly [fact: string]: unknown;
}

/** Answers that are kept, questions at once, and questions that wait: in all, and of one client. */
const KEPT = 4096;
const LIMITS = { running: 64, waiting: 1024, waitingPerClient: 256 };
/** Prefix lengths of one client, and of what one attacker can easily rent. */
const ONE = { v4: 32, v6: 64 };
const WIDER = { v4: 16, v6: 32 };

/** The webhook of a rule. Equal questions are asked once at a time, and not again as long as their answer holds. */
export class RuleWebhook {
  readonly #webhook: Webhook;
  readonly #cacheMs: number;
  readonly #now: () => number;
  readonly #queue: FairQueue;
  readonly #known = new ExpiringLru<RuleAnswer>(KEPT);
  readonly #underWay = new Map<string, Promise<RuleAnswer | WebhookFault>>();

  /** `cacheMs` is for how long an answer holds that does not say so itself, and at most. */
  constructor(webhook: Webhook, cacheMs: number, now: () => number = () => performance.now()) {
    this.#webhook = webhook;
    this.#cacheMs = cacheMs;
    this.#now = now;
    this.#queue = new FairQueue({ ...LIMITS, waitMs: webhook.timeoutMs });
  }

  /** The most milliseconds until there is an answer or a fault. */
  get longestMs(): number {
    return 2 * this.#webhook.timeoutMs + 1000;
  }

  ask(question: RuleQuestion): Promise<RuleAnswer | WebhookFault> | RuleAnswer {
    // A path may be as long as a head: the table must not keep it.
    const key = new Bun.CryptoHasher("sha256").update(JSON.stringify(question)).digest("base64");
    const known = this.#known.get(key, this.#now());
    if (known !== undefined) return known;
    const underWay = this.#underWay.get(key);
    if (underWay !== undefined) return underWay;
    const answer = this.#ask(key, question).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, answer);
    return answer;
  }

  async #ask(key: string, question: RuleQuestion): Promise<RuleAnswer | WebhookFault> {
    const ip = parseIp(question.client);
    const owner = {
      client: ip === undefined ? question.client : clientKey(ip, ONE),
      network: ip === undefined ? question.client : clientKey(ip, WIDER),
      trusted: false,
      // Another connection of the client may want the answer.
      isGone: () => false,
      watchGone: () => {},
    };
    const answer = await this.#queue.run(owner, () => askWebhookRule(this.#webhook, question));
    if (typeof answer === "string") return new WebhookFault("has too many questions to answer");
    if (answer instanceof WebhookFault) return answer;
    const holdsMs = Math.min(this.#cacheMs, answer.forMs ?? this.#cacheMs);
    if (holdsMs > 0) this.#known.set(key, answer, this.#now() + holdsMs);
    return answer;
  }
}
