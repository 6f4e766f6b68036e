/** Version of the form of events. New fields and types may come without a new version. */
export const EVENT_VERSION = 1;

/** What is told, in the order of the documentation. */
export const EVENT_TYPES = [
  "refused",
  "tunnel_opened",
  "tunnel_ended",
  "request_done",
  "upstream",
  "reload",
  "hook_failed",
  "drain",
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** What filters look at. */
export interface EventFacts {
  readonly user?: string | undefined;
  /** `host:port`, or `host`. */
  readonly target?: string | undefined;
  /** The precise reason and its error type of RFC 9209. */
  readonly words?: readonly (string | undefined)[] | undefined;
}

/** An event as it is kept and passed on. */
export interface PublishedEvent extends EventFacts {
  /** Counts from 1 in the life of the process. */
  readonly number: number;
  readonly type: EventType;
  /** The event in JSON, without line ends. */
  readonly json: string;
}

/** Which events are wanted: what is absent does not matter. */
export interface EventFilter {
  readonly types?: ReadonlySet<EventType>;
  readonly user?: string;
  /** In lower case: a host with or without a port, or `*.host` for every name below it. */
  readonly target?: string;
  readonly word?: string;
}

/** Whether a filter lets an event through. An event without a user passes no filter for users, and so on. */
export function matchesEvent({ types, user, target, word }: EventFilter, event: PublishedEvent): boolean {
  return (
    (types === undefined || types.has(event.type)) &&
    (user === undefined || user === event.user) &&
    (target === undefined || matchesTarget(target, event.target)) &&
    (word === undefined || event.words?.includes(word) === true)
  );
}

function matchesTarget(wanted: string, target: string | undefined): boolean {
  if (target === undefined) return false;
  const host = target.replace(/:\d+$/, "");
  if (wanted.startsWith("*.")) return host.endsWith(wanted.slice(1));
  return wanted === host || wanted === target;
}
