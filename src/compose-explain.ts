import type { ApprovalTable } from "./approvals/approval-table.ts";
import type { InUse } from "./apply-config.ts";
import type { CompiledConfig } from "./config/compile.ts";
import type { AskUse } from "./explain/explain-limits.ts";
import { type AskPool, readAskedPool } from "./explain/explain-pool.ts";
import { explainBoth } from "./explain/explain-target.ts";
import { readQuestion } from "./explain/read-question.ts";
import type { Gate } from "./gate/gate.ts";
import type { ListsInUse } from "./lists/lists-in-use.ts";
import type { PacFiles } from "./pac/pac-files.ts";
import type { ExplainControl } from "./sidecar/explain.ts";
import { formatUpstream, type UpstreamControl } from "./sidecar/upstreams.ts";
import type { UsageControl } from "./sidecar/usage.ts";

interface ExplainParts {
  readonly gate: Gate;
  readonly inUse: InUse;
  readonly lists: () => Pick<ListsInUse, "read">;
  readonly pacs: Pick<PacFiles, "find">;
  readonly upstreams: UpstreamControl;
  readonly usage: UsageControl;
  readonly approval: ApprovalTable["look"];
}

/** Questions that are answered at once: each may ask DNS, a function and a webhook. */
const MAX_AT_ONCE = 4;
/** Characters of lists that are looked through for a line: clients wait meanwhile. */
const MAX_SEARCHED = 1_000_000;

/** Composes what says what this proxy would do with a tunnel: with its lists, pools and approvals as they are now. */
export function composeExplain({ gate, inUse, lists, pacs, ...parts }: ExplainParts): ExplainControl {
  const askPool = createAskPool(parts.upstreams);
  const askUse = createAskUse(parts.usage);
  const running = {
    own: gate.own,
    findPac: (name: string) => pacs.find(name),
    approval: parts.approval,
  };
  let open = 0;
  return async (written) => {
    const question = readQuestion(written);
    if (!("target" in question)) return { kind: "wrong", reason: question.join(" ") };
    if (open >= MAX_AT_ONCE) return { kind: "busy" };
    open += 1;
    try {
      const current = useLists({ ...inUse.compiled, runtime: gate.runtime.current }, lists());
      const { json } = await explainBoth(current, gate.resolver, question, askPool, askUse, running);
      return { kind: "explained", facts: json };
    } finally {
      open -= 1;
    }
  };
}

/** The configuration with the texts of lists that are in use. */
function useLists(compiled: CompiledConfig, inUse: Pick<ListsInUse, "read">): CompiledConfig {
  const { lists } = compiled;
  if (lists === undefined) return compiled;
  const texts = new Map<string, string>();
  let characters = 0;
  for (const { key } of lists.sources) {
    const text = inUse.read(key);
    if (text === undefined) continue;
    texts.set(key, text);
    characters += text.length;
  }
  const locate: typeof lists.locate = (rule, question) =>
    characters > MAX_SEARCHED ? [] : lists.locate(rule, question, texts);
  return { ...compiled, lists: { ...lists, texts, locate } };
}

function createAskPool(upstreams: UpstreamControl): AskPool {
  return async (pool, { client, written, target }) => {
    const found = upstreams.list().find(({ name }) => name === pool);
    const choice = upstreams.choose(pool, { client: client.text, user: written, host: target.host.text });
    const asked = found && readAskedPool({ ...formatUpstream(found, Date.now()) }, { choice });
    return asked ?? "it is not in use any more";
  };
}

function createAskUse(usage: UsageControl): AskUse {
  return async (by, key) => {
    const report = await usage.report({ by, key, since: "today", top: 1 });
    const [row] = typeof report === "string" ? [] : report.rows;
    return row && { ...row };
  };
}
