import type { PenstockConfig } from "../../src/config/schema.ts";
import type { ConnectUpstream } from "./connect-upstream.ts";
import { basic, type TestProxy, waitFor } from "./proxy.ts";
import type { RawPeer } from "./raw-peer.ts";

interface Question {
  readonly id: string;
  readonly target: string;
  readonly user?: string;
  readonly waiting: number;
}

interface Listed {
  readonly approvals: readonly Question[];
  readonly answers: readonly object[];
  readonly always: boolean;
}

/** Their passwords are `secret`. */
export const users = [
  { name: "ann", password: "secret" },
  { name: "bob", password: "secret" },
];

/** What no rule decides is asked for, and goes by the upstream. */
export function asking({ port }: ConnectUpstream, more: PenstockConfig = {}): PenstockConfig {
  return {
    users,
    upstreams: { corp: `http://127.0.0.1:${port}` },
    rules: [
      { name: "evil", to: ["evil.example"], deny: true },
      { name: "others", ask: true, via: "corp" },
    ],
    default: "deny",
    ...more,
  };
}

/** What is open, and what holds. */
export async function listApprovals(proxy: TestProxy): Promise<Listed> {
  return (await (await proxy.ask("/approvals")).json()) as Listed;
}

/** The open question about a target, once so many wait for it. */
export function findQuestion(proxy: TestProxy, target: string, waiting = 1): Promise<Question> {
  return waitFor(async () => {
    const { approvals } = await listApprovals(proxy);
    return approvals.find((each) => each.target === target && each.waiting === waiting);
  }, `${waiting} who wait for ${target}`);
}

/** Answers a question as an operator does. */
export function answerQuestion(proxy: TestProxy, id: string, body: unknown): Promise<Response> {
  return fetch(`http://127.0.0.1:${proxy.daemon.sidecar?.port}/approvals/${id}`, {
    method: "POST",
    headers: { Authorization: "Bearer scenario-token" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

/** Sends a CONNECT and waits for nothing. */
export async function connectAsking(proxy: TestProxy, target: string, user = "ann"): Promise<RawPeer> {
  const peer = await proxy.connect();
  const [[name, value] = ["", ""]] = Object.entries(basic(user, "secret"));
  peer.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${name}: ${value}\r\n\r\n`);
  return peer;
}

export async function statusOf(peer: RawPeer): Promise<string> {
  await peer.untilText("\r\n\r\n");
  return peer.text.slice(9, 12);
}
