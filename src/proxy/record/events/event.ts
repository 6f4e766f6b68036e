/** Version of the form of events. New fields and types may come without a new version. */
export const EVENT_VERSION = 1;

interface EventDescription {
  readonly when: string;
  readonly fields: string;
}

/** What is told, in the order of the documentation. */
export const EVENTS = {
  refused: {
    when: "A request was refused, or could not be carried out.",
    fields: "Those of its access line.",
  },
  tunnel_opened: { when: "A tunnel opened.", fields: "Those of its access line so far." },
  tunnel_ended: { when: "A tunnel ended.", fields: "Those of its access line." },
  request_done: { when: "A forwarded request is over.", fields: "Those of its access line." },
  upstream: {
    when: "The health of a member of a pool changed, or a session moved.",
    fields:
      "`change`: `health` with `upstream`, `member`, `state`, `reason`, `failures`, `for_ms`; or `session_moved` with `upstream`, `from`, `to`. `not_told`: changes left out since the last one.",
  },
  reload: { when: "A reload is over.", fields: "`result`, and `changes`, `warnings`; or `problems`." },
  limit: {
    when: "A limit refused requests: the first time at once, then once a second while it goes on.",
    fields:
      "`limit`: its path below `limits`. `user`, `client` or `target`: whose limit it is. `detail`: the failure word. `count`: requests that it refused since the last one.",
  },
  certificate: {
    when: "A certificate expires within 30, 14, 7, 3 or 1 days, or has expired; at start and after a reload at once. Or an order of one (`acme`) is over.",
    fields:
      "`use`: `listener`, `sidecar` or `upstream` (a client certificate). `name`: where it is used. `file`, `expires`, `days`, `expired`. Of an order: `use`, `change` (`issued` or `failed`), `names`, `file`, `expires`, `why`, `failures`, `next_attempt`.",
  },
  list: {
    when: "A list of rules has another content, cannot be read or used, or can be used again.",
    fields:
      "`change`: `read` or `recovered` with `entries`; or `failed` with `why`, `failures`, `in_use` (whether an older content stays in use). `list`: its name as in `/status`.",
  },
  hook_failed: {
    when: "A function of the configuration failed.",
    fields: "`hook`, `why`. `not_told`: failures left out since the last one.",
  },
  approval: {
    when: "A rule asks an operator about a target, an operator answered, or nobody did in time.",
    fields:
      "`change`: `asked`, `answered` or `unanswered`. `id`, `user`, `client`, `target`, `rule`. `answered`: `allow`, `for` (`once`, `10m` or `always`), `by` (the token), `waiting` (connections that the answer was for).",
  },
  drain: {
    when: "A drain began, went on or ended.",
    fields: "`phase`, `left_ms`, `connections`, `tunnels`.",
  },
} as const satisfies Record<string, EventDescription>;
export type EventType = keyof typeof EVENTS;
export const EVENT_TYPES = Object.keys(EVENTS) as readonly EventType[];

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
  /** Events that were wanted and not made before it. */
  readonly leftOutBefore: number;
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
export function matchesEvent({ types, user, target, word }: EventFilter, type: EventType, facts: EventFacts): boolean {
  return (
    (types === undefined || types.has(type)) &&
    (user === undefined || user === facts.user) &&
    (target === undefined || matchesTarget(target, facts.target)) &&
    (word === undefined || facts.words?.includes(word) === true)
  );
}

function matchesTarget(wanted: string, target: string | undefined): boolean {
  if (target === undefined) return false;
  const host = target.replace(/:\d+$/, "");
  if (wanted.startsWith("*.")) return host.endsWith(wanted.slice(1));
  return wanted === host || wanted === target;
}
