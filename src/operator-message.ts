/** How much a message matters, the most important first. */
export const MESSAGE_LEVELS = ["error", "warn", "info", "debug"] as const;
export type MessageLevel = (typeof MESSAGE_LEVELS)[number];

/** Tells the operator something: one line, without time, level and line end. */
export type Tell = (message: string, level: MessageLevel) => void;

/**
 * How a line on standard error begins. `plain`: time in UTC (ISO 8601) and level.
 * `terminal`: the local time of day and level, as access lines for people.
 * `journal`: the priority of sd-daemon(3); systemd's journal adds the time itself.
 */
export type MessageForm = "plain" | "terminal" | "journal";

/** The priorities of syslog(3). */
const PRIORITIES: Readonly<Record<MessageLevel, number>> = { error: 3, warn: 4, info: 6, debug: 7 };

/** What a line begins with, up to the message. */
export function writePrefix(form: MessageForm, level: MessageLevel, now: Date): string {
  if (form === "journal") return `<${PRIORITIES[level]}>`;
  const time = form === "plain" ? now.toISOString() : now.toTimeString().slice(0, 8);
  return `${time} ${level.padEnd(5)} `;
}

/** Lets messages through that matter enough. */
export class MessageFilter {
  /** The least important level that is told. */
  level: MessageLevel;
  readonly #sink: Tell;

  constructor(sink: Tell, level: MessageLevel = "info") {
    this.#sink = sink;
    this.level = level;
  }

  readonly tell: Tell = (message, level) => {
    if (MESSAGE_LEVELS.indexOf(level) <= MESSAGE_LEVELS.indexOf(this.level)) this.#sink(message, level);
  };
}
