import { quoteValue } from "../config/problem.ts";
import { formatJson } from "../escape-text.ts";
import type { Member } from "../sidecar/answer-parts.ts";
import { callSidecar, describeFailedCall } from "./call-sidecar.ts";
import { createCommand, type CommandInput } from "./command.ts";
import { findSidecar, type SidecarAccess, sidecarArgs } from "./find-sidecar.ts";
import { type CliIo, endWith, exitCodes } from "./io.ts";
import { formatUpstreams } from "./upstreams-table.ts";

/** What is to be done with a member. */
interface Change {
  readonly action: "disable" | "enable";
  readonly upstream: string;
  readonly member: string;
}

/** `penstock upstreams`: the health of upstreams of a running proxy, and what an operator decides about members. */
export const upstreams = createCommand({
  name: "upstreams",
  description:
    "Show the upstreams of a running proxy and the health of the members of pools, or take members out of use. It needs the sidecar, and its token.",
  examples: [["penstock upstreams --disable exits/10.0.0.7:1080", "Take a member of a pool out of use."]],
  args: {
    name: { type: "positional", required: false, description: "Only this upstream." },
    disable: {
      type: "string",
      valueHint: "UPSTREAM/MEMBER",
      description:
        "Lead no new connections to this member until --enable or a restart. Those that it has go on. May be repeated.",
    },
    enable: { type: "string", valueHint: "UPSTREAM/MEMBER", description: "Use the member again. May be repeated." },
    json: { type: "boolean", description: "Print JSON, as the sidecar has it." },
    ...sidecarArgs,
  },
  lists: ["disable", "enable"],
  async run(input) {
    const { io, value, has } = input;
    const changes = readChanges(input);
    if (typeof changes === "string") return endWith(io, changes, exitCodes.usage);
    const name = value("name");
    if (name !== undefined && changes.length > 0)
      return endWith(io, "Found a NAME beside --disable or --enable. Leave it out.", exitCodes.usage);
    const access = await findSidecar(input, "/upstreams", ["read", "operate"]);
    if (typeof access === "string") return endWith(io, access, exitCodes.usage);
    if (changes.length > 0) return applyChanges(changes, access, has("json"), io);
    const listed = name === undefined ? await callSidecar(access, "GET /upstreams") : undefined;
    const one =
      name === undefined ? undefined : await callSidecar(access, "GET /upstreams/{name}", { params: { name } });
    for (const called of [listed, one])
      if (called?.ok === false) return endWith(io, describeFailedCall(called), exitCodes.failure);
    const found = [...(listed?.ok ? listed.answer.upstreams : []), ...(one?.ok ? [one.answer] : [])];
    const answer = listed?.ok ? listed.answer : found[0];
    await io.print(has("json") ? `${formatJson(answer, 2)}\n` : formatUpstreams(found));
    if (found.length === 0 && !has("json")) io.tell("The configuration of the running proxy has no upstreams.");
    return exitCodes.ok;
  },
});

/** What the flags ask for, or what is wrong with them. */
function readChanges({ values }: CommandInput): Change[] | string {
  const changes: Change[] = [];
  for (const action of ["disable", "enable"] as const) {
    for (const text of values(action)) {
      const slash = text.indexOf("/");
      const upstream = text.slice(0, Math.max(0, slash));
      const member = text.slice(slash + 1);
      if (upstream === "" || member === "")
        return `--${action} is ${quoteValue(text)}. Wanted is UPSTREAM/MEMBER, as in exits/10.0.0.7:1080.`;
      if (changes.some((one) => one.upstream === upstream && one.member === member))
        return `Found ${quoteValue(text)} twice. Name each member once.`;
      changes.push({ action, upstream, member });
    }
  }
  return changes;
}

/** Carries out one change after the other, up to the first that fails. */
async function applyChanges(
  changes: readonly Change[],
  access: SidecarAccess,
  asJson: boolean,
  io: CliIo,
): Promise<number> {
  const results: unknown[] = [];
  for (const { action, upstream, member } of changes) {
    const called = await callSidecar(access, `POST /upstreams/{name}/{member}/${action}`, {
      params: { name: upstream, member },
    });
    if (!called.ok) return endWith(io, describeFailedCall(called), exitCodes.failure);
    const { answer } = called;
    results.push({ upstream, ...answer });
    if (asJson) continue;
    const state = action === "disable" ? "disabled" : "enabled";
    const before = answer.changed ? "" : ", as it was before";
    io.tell(`${upstream}/${member} is ${state}${before}.${describeRest(answer.member, action)}`);
  }
  if (asJson) await io.print(`${formatJson(results, 2)}\n`);
  return exitCodes.ok;
}

/** What a disabled member still has, or what an enabled one still lacks. */
function describeRest(member: Member | undefined, action: Change["action"]): string {
  if (member === undefined) return "";
  const { connections, health, reason } = member;
  if (action === "disable") return connections > 0 ? ` Connections through it: ${connections}.` : "";
  return health === "healthy" ? "" : ` It is ${health} (${String(reason)}).`;
}
