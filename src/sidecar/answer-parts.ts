/**
 * Parts of several answers of the sidecar. Made of its
 * `/openapi.json`: run `bun test/support/sidecar-operations.ts` after a change.
 */

export type Tunnel = { readonly kind: "tunnel" | "request"; readonly id: string; readonly listener: string; readonly client: string; readonly user?: string; readonly parameters?: { readonly [name: string]: string }; readonly protocol?: string; readonly method?: string; readonly scheme?: string; readonly target?: string; readonly dialled?: string; readonly rule?: string; readonly route?: string; readonly inside?: string; readonly tls?: TlsFacts; readonly started_at: string; readonly age_ms: number; readonly limit?: string; readonly bytes_up: number; readonly bytes_down: number; };

export type TlsFacts = { readonly sni?: string; readonly alpn?: string; readonly alpn_chosen?: string; readonly version?: string; readonly cipher?: string; readonly resumed?: boolean; readonly ja4?: string; readonly ja3?: string; readonly certificate_expires?: string; readonly handshake_ms?: number; readonly alert?: string; };

export type Upstream = { readonly name: string; readonly kind: "pool"; readonly balance: string; readonly waiting: number; readonly sessions: number; readonly members: readonly (Member)[]; } | { readonly name: string; readonly kind: "pac"; readonly from: string; readonly usable: boolean; readonly fault?: string; readonly last_read?: { readonly at: string; readonly age_ms: number; }; readonly last_change?: { readonly at: string; readonly age_ms: number; }; readonly last_failure?: { readonly at: string; readonly age_ms: number; readonly reason: string; }; readonly failed_reads: number; readonly queries: number; readonly failed_queries: number; readonly evaluations: number; readonly members: readonly (Member)[]; } | { readonly name: string; readonly kind: string; readonly address: string; readonly dialling: number; readonly dialled: number; readonly failed: number; };

export type Member = { readonly name: string; readonly health: string; readonly reason?: string; readonly last_change: string; readonly since_ms: number; readonly ejected_for_ms?: number; readonly disabled: boolean; readonly backup: boolean; readonly weight: number; readonly max_connections: number; readonly connections: number; readonly dialling: number; readonly dialled: number; readonly failed: number; readonly failures_in_a_row: number; readonly ejections: number; readonly latency_ms?: { readonly p50: number; readonly p99: number; readonly average: number; }; };

export type Counts = { readonly up: number; readonly down: number; readonly requests: number; };

export type Quota = { readonly limit: number; readonly used: number; readonly left: number; readonly resets_at: string; };
