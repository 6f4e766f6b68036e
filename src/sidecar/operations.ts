import type { Tunnel, TlsFacts, Upstream, Member, Counts, Quota } from "./answer-parts.ts";

/**
 * What the sidecar can be asked, and what it answers in JSON. Made of its
 * `/openapi.json`: run `bun test/support/sidecar-operations.ts` after a change.
 */
export interface Operations {
  readonly "GET /healthz": { readonly query: {}; readonly answer: undefined };
  readonly "GET /readyz": {
    readonly query: {};
    readonly answer: {
      readonly ready: boolean;
      readonly reason?: "starting" | "draining" | "no_way_out";
      readonly warning?: string;
    };
  };
  readonly "GET /": { readonly query: {}; readonly answer: undefined };
  readonly "GET /page/{name}": { readonly query: {}; readonly answer: undefined };
  readonly "GET /config": { readonly query: {}; readonly answer: { readonly [name: string]: unknown } };
  readonly "GET /token": {
    readonly query: {};
    readonly answer: { readonly name?: string; readonly may: readonly ("read" | "operate" | "capture")[] };
  };
  readonly "GET /metrics": { readonly query: {}; readonly answer: undefined };
  readonly "GET /proxy.pac": { readonly query: {}; readonly answer: undefined };
  readonly "GET /tunnels": {
    readonly query: {
      readonly id?: string;
      readonly user?: string;
      readonly client?: string;
      readonly host?: string;
      readonly rule?: string;
      readonly route?: string;
    };
    readonly answer: { readonly tunnels: readonly Tunnel[] };
  };
  readonly "DELETE /tunnels": {
    readonly query: {
      readonly id?: string;
      readonly user?: string;
      readonly client?: string;
      readonly host?: string;
      readonly rule?: string;
      readonly route?: string;
    };
    readonly answer: { readonly ended: number };
  };
  readonly "GET /tunnels/{id}": {
    readonly query: {};
    readonly answer: {
      readonly kind: "tunnel" | "request";
      readonly id: string;
      readonly listener: string;
      readonly client: string;
      readonly user?: string;
      readonly parameters?: { readonly [name: string]: string };
      readonly protocol?: string;
      readonly method?: string;
      readonly scheme?: string;
      readonly target?: string;
      readonly dialled?: string;
      readonly rule?: string;
      readonly reported?: string;
      readonly reported_rule?: string;
      readonly route?: string;
      readonly inside?: string;
      readonly tls?: TlsFacts;
      readonly started_at: string;
      readonly age_ms: number;
      readonly limit?: string;
      readonly bytes_up: number;
      readonly bytes_down: number;
      readonly member?: string;
      readonly attempts?: number;
      readonly status?: number;
      readonly stages: readonly { readonly name: string; readonly at_ms: number; readonly ms: number }[];
      readonly handshake: {
        readonly messages: readonly {
          readonly from: "client" | "server";
          readonly name: string;
          readonly bytes: number;
          readonly at_ms: number;
          readonly encrypted?: boolean;
        }[];
        readonly hidden?: string;
      };
    };
  };
  readonly "DELETE /tunnels/{id}": { readonly query: {}; readonly answer: undefined };
  readonly "GET /upstreams": { readonly query: {}; readonly answer: { readonly upstreams: readonly Upstream[] } };
  readonly "GET /upstreams/{name}": { readonly query: {}; readonly answer: Upstream };
  readonly "GET /upstreams/{name}/choice": {
    readonly query: { readonly client?: string; readonly user?: string; readonly host: string };
    readonly answer: { readonly choice: readonly { readonly member: string; readonly why: string }[] };
  };
  readonly "POST /upstreams/{name}/{member}/disable": {
    readonly query: {};
    readonly answer: { readonly changed: boolean; readonly member?: Member };
  };
  readonly "POST /upstreams/{name}/{member}/enable": {
    readonly query: {};
    readonly answer: { readonly changed: boolean; readonly member?: Member };
  };
  readonly "GET /explain": {
    readonly query: {
      readonly target: string;
      readonly user?: string;
      readonly from?: string;
      readonly at?: string;
      readonly all?: string;
    };
    readonly answer: {
      readonly target: string;
      readonly client: string;
      readonly verdict: string;
      readonly allowed: boolean;
    };
  };
  readonly "GET /usage": {
    readonly query: {
      readonly by?: string;
      readonly key?: string;
      readonly since?: string;
      readonly top?: string;
      readonly format?: string;
    };
    readonly answer: {
      readonly by: "user" | "client" | "target" | "upstream";
      readonly since: string;
      readonly day: string;
      readonly month: string;
      readonly counting_since: string;
      readonly kept: unknown;
      readonly others: {
        readonly up: number;
        readonly down: number;
        readonly requests: number;
        readonly number: number;
      };
      readonly usage: readonly {
        readonly user?: string;
        readonly client?: string;
        readonly target?: string;
        readonly upstream?: string;
        readonly open: number;
        readonly rate: { readonly up: number; readonly down: number };
        readonly today: Counts;
        readonly month: Counts;
        readonly since: Counts;
        readonly refused: { readonly [name: string]: number };
        readonly limits?: { readonly [name: string]: unknown };
        readonly used?: { readonly connections?: number; readonly requests?: number };
        readonly quota?: { readonly day?: Quota; readonly month?: Quota };
      }[];
    };
  };
  readonly "GET /events": {
    readonly query: {
      readonly type?: string;
      readonly user?: string;
      readonly target?: string;
      readonly word?: string;
      readonly after?: string;
      readonly wait?: string;
    };
    readonly answer: {
      readonly events: readonly { readonly v: number; readonly event: string }[];
      readonly last: string;
      readonly lost?: number;
    };
  };
  readonly "GET /approvals": {
    readonly query: {};
    readonly answer: {
      readonly approvals: readonly {
        readonly id: string;
        readonly user?: string;
        readonly client: string;
        readonly host: string;
        readonly port: number;
        readonly target: string;
        readonly rule: string;
        readonly asked_at: string;
        readonly age_ms: number;
        readonly waiting: number;
      }[];
      readonly answers: readonly {
        readonly id: string;
        readonly user?: string;
        readonly client: string;
        readonly target: string;
        readonly rule: string;
        readonly allow: boolean;
        readonly for: "once" | "10m";
        readonly by: string;
        readonly left_ms: number;
      }[];
      readonly always: boolean;
    };
  };
  readonly "POST /approvals/{id}": {
    readonly query: {};
    readonly answer: {
      readonly id: string;
      readonly target: string;
      readonly allow: boolean;
      readonly for: "once" | "10m" | "always";
      readonly released: number;
    };
  };
  readonly "GET /status": {
    readonly query: {};
    readonly answer: {
      readonly version: string;
      readonly pid: number;
      readonly started_at: string;
      readonly uptime_ms: number;
      readonly phase: "starting" | "serving" | "lame_duck" | "draining" | "ended";
      readonly ready: boolean;
      readonly reason?: "starting" | "draining" | "no_way_out";
      readonly warnings: readonly string[];
      readonly listeners: readonly { readonly address: string; readonly tls: boolean; readonly accepted: number }[];
      readonly connections: number;
      readonly connection_limit: number;
      readonly tunnels: number;
      readonly requests: number;
      readonly totals: {
        readonly connections: number;
        readonly tunnels: number;
        readonly requests: number;
        readonly failures: number;
      };
      readonly bytes_up: number;
      readonly bytes_down: number;
      readonly rate: { readonly up: number; readonly down: number };
      readonly connects_per_s: number;
      readonly requests_per_s: number;
      readonly dial_ms: { readonly count: number; readonly p50: unknown; readonly p99: unknown };
      readonly refusals: { readonly [name: string]: number };
      readonly upstreams: { readonly healthy: number; readonly unhealthy: number };
      readonly certificates: readonly { readonly name: string; readonly days: number }[];
      readonly lists: readonly {
        readonly name: string;
        readonly state: "good" | "kept" | "failing" | "empty";
        readonly entries: number;
        readonly read_at?: string;
        readonly failures: number;
        readonly why?: string;
      }[];
      readonly memory_bytes: number;
    };
  };
  readonly "GET /series": {
    readonly query: { readonly span?: string };
    readonly answer: {
      readonly step_ms: number;
      readonly from: string;
      readonly last: number;
      readonly up: readonly number[];
      readonly down: readonly number[];
      readonly connects: readonly number[];
      readonly requests: readonly number[];
      readonly refused: readonly number[];
      readonly connections: readonly number[];
      readonly tunnels: readonly number[];
      readonly dial_p50_ms: readonly unknown[];
      readonly dial_p99_ms: readonly unknown[];
    };
  };
  readonly "GET /certificates": {
    readonly query: {};
    readonly answer: {
      readonly certificates: readonly {
        readonly used_by: string;
        readonly file: string;
        readonly names: readonly string[];
        readonly issuer: string;
        readonly not_before: string;
        readonly not_after: string;
        readonly days: number;
        readonly warnings: readonly string[];
        readonly renewal?: {
          readonly directory: string;
          readonly next_at?: string;
          readonly failures: number;
          readonly problem?: string;
        };
      }[];
    };
  };
  readonly "GET /live": {
    readonly query: {
      readonly id?: string;
      readonly user?: string;
      readonly client?: string;
      readonly host?: string;
      readonly rule?: string;
      readonly route?: string;
      readonly tunnels?: string;
    };
    readonly answer: undefined;
  };
  readonly "POST /reload": {
    readonly query: {};
    readonly answer: { readonly changes: readonly string[]; readonly warnings: readonly string[] };
  };
  readonly "POST /handover": {
    readonly query: { readonly executable?: string };
    readonly answer: { readonly pid: number; readonly version: string };
  };
  readonly "GET /capture": {
    readonly query: {
      readonly host?: string;
      readonly user?: string;
      readonly id?: string;
      readonly legs?: string;
      readonly snaplen?: string;
    };
    readonly answer: undefined;
  };
  readonly "DELETE /capture/{id}": { readonly query: {}; readonly answer: undefined };
  readonly "POST /drain": {
    readonly query: { readonly for?: string };
    readonly answer: {
      readonly phase: "serving" | "lame_duck" | "draining" | "ended";
      readonly left_ms?: number;
      readonly connections: number;
      readonly tunnels: number;
      readonly oldest_ms?: number;
    };
  };
  readonly "DELETE /drain": { readonly query: {}; readonly answer: undefined };
  readonly "POST /drain/successor": { readonly query: {}; readonly answer: undefined };
  readonly "GET /openapi.json": { readonly query: {}; readonly answer: { readonly openapi: string } };
}
