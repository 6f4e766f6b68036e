import { formatJson } from "../escape-text.ts";
import { FLOW_PARAMETERS } from "../sidecar/read-query.ts";
import { type TunnelRow, tunnelsAnswer } from "../sidecar/tunnel-row.ts";
import { askAnswer, findExitCode } from "./ask-answer.ts";
import { createCommand, type CommandInput } from "./command.ts";
import { endAll, type Ended, endEach } from "./end-tunnels.ts";
import { findSidecar, type SidecarAccess, sidecarArgs } from "./find-sidecar.ts";
import { type CliIo, endWith, exitCodes } from "./io.ts";
import { formatTunnels } from "./tunnels-table.ts";

/** The flags that choose tunnels, and the parameters of the sidecar that they are. */
export const flowArgs = {
  user: { type: "string", valueHint: "USER", description: "Only those of this user." },
  target: {
    type: "string",
    valueHint: "HOST",
    description: "Only those to this target: example.org, example.org:443, or *.example.org for all names below it.",
  },
  client: { type: "string", valueHint: "IP", description: "Only those of this client." },
  rule: { type: "string", valueHint: "RULE", description: "Only those that this rule allowed." },
  route: {
    type: "string",
    valueHint: "ROUTE",
    description: 'Only those by this route: "direct", or the name of an upstream.',
  },
} as const;

/** Adds what the flags choose to the query. Gives the number of flags. */
export function addFlowQuery({ value }: Pick<CommandInput, "value">, url: URL): number {
  let added = 0;
  for (const name of FLOW_PARAMETERS) {
    const given = name === "id" ? undefined : value(name === "host" ? "target" : name);
    if (given === undefined) continue;
    url.searchParams.set(name, given);
    added += 1;
  }
  return added;
}

/** `penstock tunnels`: what is under way through a running proxy, and its end. */
export const tunnels = createCommand({
  name: "tunnels",
  description:
    "List tunnels and forwarded requests under way through a running proxy, or end them. Asks before it ends any. It needs the sidecar, and its token.",
  examples: [
    ["penstock tunnels --user alice", "List what a user does."],
    ["penstock tunnels --user alice --all --yes", "End all of that."],
  ],
  args: {
    id: { type: "positional", required: false, description: "Only these, by the id that the access log has, too." },
    ...flowArgs,
    kill: {
      type: "string",
      valueHint: "ID",
      description: "End this one. Further ids may follow, and all of them must match the other flags.",
    },
    all: { type: "boolean", description: "End all that match, or everything without other flags." },
    yes: { type: "boolean", alias: "y", description: "End without asking. Needed where nobody can be asked." },
    json: { type: "boolean", description: "Print JSON, as the sidecar has it." },
    ...sidecarArgs,
  },
  lists: ["id", "kill"],
  async run(input) {
    const { io, has, values } = input;
    const ids = [...new Set([...values("kill"), ...values("id")])];
    const wantsEnd = has("kill") || has("all");
    const fault = findFault(input, ids);
    const access = fault ?? (await findSidecar(input, "/tunnels", wantsEnd ? ["read", "operate"] : ["read"]));
    if (typeof access === "string") return endWith(io, access, exitCodes.usage);
    const filters = addFlowQuery(input, access.url);
    const answer = await askAnswer(access, access.url, tunnelsAnswer);
    if (!answer.ok) return endWith(io, answer.message, findExitCode(answer.status));
    const isWanted = (id: unknown): boolean => ids.length === 0 || ids.some((each) => each === id);
    const rows = answer.value.tunnels.filter(({ id }) => isWanted(id));
    const missing = ids.filter((id) => !rows.some((row) => row.id === id));
    if (wantsEnd) return end(input, access, { rows, missing, byQuery: filters > 0 && ids.length === 0 });
    const listed = answer.raw["tunnels"];
    const raw = Array.isArray(listed) ? listed.filter((each: TunnelRow) => isWanted(each.id)) : [];
    await io.print(has("json") ? `${formatJson({ ...answer.raw, tunnels: raw }, 2)}\n` : formatRows(rows));
    if (rows.length === 0 && missing.length === 0 && !has("json")) io.tell(tellNone(filters));
    return tellMissing(missing, io);
  },
});

function findFault({ has, io }: CommandInput, ids: readonly string[]): string | undefined {
  const wantsEnd = has("kill") || has("all");
  if (has("all") && ids.length > 0) return "Found ids and --all. Leave one of them out.";
  if (has("yes") && !wantsEnd) return "Found --yes without --kill or --all.";
  if (wantsEnd && !has("yes") && !io.interactive)
    return "There is nobody to ask. Add --yes to end them without asking.";
  return undefined;
}

interface Chosen {
  readonly rows: readonly TunnelRow[];
  /** Ids that nothing has. */
  readonly missing: readonly string[];
  /** Whether the query chooses them, so that those count that begin meanwhile. */
  readonly byQuery: boolean;
}

/** Ends what was chosen, after asking. */
async function end(input: CommandInput, access: SidecarAccess, { rows, missing, byQuery }: Chosen): Promise<number> {
  const { io, has } = input;
  if (rows.length > 0 && !has("yes")) {
    for (const line of formatTunnels(rows.slice(0, MAX_ASKED)).trimEnd().split("\n")) io.tell(line);
    if (rows.length > MAX_ASKED) io.tell(`and ${rows.length - MAX_ASKED} more.`);
    const answer = await io.readAnswer(`End ${rows.length === 1 ? "it" : `all ${rows.length}`}? [y/N] `);
    if (!/^y(?:es)?$/i.test(answer?.trim() ?? "")) return endWith(io, "Nothing was ended.", exitCodes.failure);
  }
  const ids = rows.map(({ id }) => id);
  const ended: Ended =
    rows.length === 0
      ? { ended: 0, over: 0, problem: undefined }
      : await (byQuery ? endAll(access) : endEach(access, ids));
  if (has("json"))
    await io.print(
      `${formatJson({ ended: ended.ended, over: ended.over, missing, ...(ended.problem !== undefined && { problem: ended.problem }) }, 2)}\n`,
    );
  else io.tell(`${ended.ended} ended${ended.over === 0 ? "" : `, ${ended.over} were over already`}.`);
  if (ended.problem !== undefined) return endWith(io, ended.problem, exitCodes.failure);
  return tellMissing(missing, io);
}

/** Rows that are shown before the question. */
const MAX_ASKED = 10;

function formatRows(rows: readonly TunnelRow[]): string {
  return rows.length === 0 ? "" : formatTunnels(rows);
}

function tellNone(filters: number): string {
  return filters === 0 ? "There are no tunnels." : "There are no tunnels that match.";
}

function tellMissing(missing: readonly string[], io: CliIo): number {
  for (const id of missing) io.tell(`There is no tunnel ${JSON.stringify(id)}.`);
  return missing.length === 0 ? exitCodes.ok : exitCodes.failure;
}
