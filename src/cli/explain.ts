import type { CompiledConfig } from "../config/compile.ts";
import { TOKEN_VARIABLE } from "../config/overrides.ts";
import { isRecord, readList } from "../config/plain-data.ts";
import { formatJson } from "../escape-text.ts";
import { createSystemResolver } from "../net/dns/system-resolver.ts";
import { askSidecar, readDetail, readJson } from "./ask-sidecar.ts";
import { createCommand, type CommandInput } from "./command.ts";
import { configArgs, loadFromFlags, tellProblems } from "./config-args.ts";
import { type AskedPool, type AskPool, type PoolQuestion, readAskedPool } from "../explain/explain-pool.ts";
import type { AskUse } from "../explain/explain-limits.ts";
import { explainBoth } from "../explain/explain-target.ts";
import { findRunningSidecar, sidecarFlag, withoutSidecar } from "./find-sidecar.ts";
import { exitCodes } from "./io.ts";
import { readQuestion } from "../explain/read-question.ts";

/** `penstock explain TARGET`: what the proxy would do with a connection, and why. */
export const explain = createCommand({
  name: "explain",
  description:
    "Show what the proxy would do with a target: which rule, why not the others, which way, which limits, which addresses. Nothing is dialled. Exit code 1: it would be refused.",
  examples: [
    ["penstock explain https://example.org/ --as ci --from 10.0.0.7", "Show what a user may do from an address."],
  ],
  args: {
    target: {
      type: "positional",
      description: "The target, as host:port or a URL; without a port, 443.",
    },
    user: {
      type: "string",
      valueHint: "USER",
      description: "User that asks, as the client sends the name, parameters included. Default: nobody.",
    },
    as: {
      type: "string",
      valueHint: "USER",
      description: "The same as --user.",
    },
    from: {
      type: "string",
      valueHint: "IP",
      description: "Client address that asks. Default: 127.0.0.1.",
    },
    all: {
      type: "boolean",
      description:
        "Say of every rule why it does or does not match. Default: of the first 20 and the one that decides.",
    },
    at: {
      type: "string",
      valueHint: "TIME",
      description:
        'Time at which it is asked, for rules with "hours" or "until", such as "2026-12-31T18:00 Europe/Berlin". Default: now.',
    },
    upstream: {
      type: "string",
      valueHint: "UPSTREAM|URL",
      description:
        "Explain as if this upstream were the way for everything that no rule sends elsewhere: one of the configuration by its name, or a URL, as with serve --upstream.",
    },
    json: { type: "boolean", description: "Print JSON." },
    config: configArgs.config,
    sidecar: {
      ...sidecarFlag.sidecar,
      description: `The sidecar of the running proxy, which is asked for the health of pools and for what is used of limits, as http://host:port, host:port or the path of a Unix socket. Default: that of the configuration. The token is in ${TOKEN_VARIABLE}, or that of the configuration for a sidecar on this machine.`,
    },
  },
  async run(input) {
    const { value, io } = input;
    if (input.has("user") && input.has("as")) {
      io.tell("Found --user and --as, which mean the same. Leave one of them out.");
      return exitCodes.usage;
    }
    const question = readQuestion({
      target: value("target") ?? "",
      user: value("user") ?? value("as"),
      from: value("from"),
      at: value("at"),
      all: input.has("all"),
    });
    if (!("target" in question)) {
      for (const fault of question) io.tell(fault);
      return exitCodes.usage;
    }
    // Who asks is no user of the configuration.
    const loaded = await loadWithUpstream({ ...withoutSidecar(input), values: () => [] });
    if (!loaded.ok) {
      tellProblems(loaded, io);
      return exitCodes.configuration;
    }
    const { compiled } = loaded.value;
    const askPool: AskPool = (pool, whom) => askRunning(compiled, input, pool, whom);
    const askUse: AskUse = (by, key) => askRunningForUse(compiled, input, by, key);
    const resolver = createSystemResolver();
    const { lines, json } = await explainBoth(compiled, resolver, question, askPool, askUse);
    await io.print(input.has("json") ? `${formatJson(json, 2)}\n` : `${lines.join("\n")}\n`);
    return json["allowed"] === false ? exitCodes.failure : exitCodes.ok;
  },
});

/** Loads with `--upstream`: a name is the default way; a URL is what `serve --upstream` takes. */
function loadWithUpstream(input: CommandInput): ReturnType<typeof loadFromFlags> {
  const { value } = input;
  const upstream = value("upstream");
  if (upstream === undefined || upstream.includes("://") || upstream === "environment") return loadFromFlags(input);
  const others: CommandInput = { ...input, value: (name) => (name === "upstream" ? undefined : value(name)) };
  return loadFromFlags(others, { flags: { way: upstream } });
}

/** Milliseconds for an answer of the running proxy. */
const ASK_MS = 3000;

/** Asks the running proxy for the members of a pool, and for the one that it would choose. */
async function askRunning(
  compiled: CompiledConfig,
  input: CommandInput,
  pool: string,
  { client, written, target }: PoolQuestion,
): Promise<AskedPool | string> {
  const access = findRunningSidecar(compiled, input, `/upstreams/${encodeURIComponent(pool)}`);
  if (typeof access === "string") return access;
  const choice = new URL(`${access.url.pathname}/choice`, access.url);
  choice.searchParams.set("host", target.host.text);
  choice.searchParams.set("client", client.text);
  if (written !== undefined) choice.searchParams.set("user", written);
  const answers: Readonly<Record<string, unknown>>[] = [];
  for (const url of [access.url, choice]) {
    const answer = await askSidecar(access, url, "GET", AbortSignal.timeout(ASK_MS));
    if (typeof answer === "string") return answer.replace(/\.$/, "");
    if (answer.status !== 200)
      return `the sidecar refused (${answer.status}): ${(await readDetail(answer)).replace(/\.$/, "")}`;
    const read = await readJson(answer);
    answers.push(read);
    // The file has chosen already.
    if (read["kind"] === "pac") break;
  }
  const [state = {}, chosen = {}] = answers;
  return readAskedPool(state, chosen) ?? "it answered with something else";
}

/** Asks the running proxy what a user, a client or a target uses; undefined when it does not say. */
async function askRunningForUse(
  compiled: CompiledConfig,
  input: CommandInput,
  ...[by, key]: Parameters<AskUse>
): ReturnType<AskUse> {
  const access = findRunningSidecar(compiled, input, "/usage");
  if (typeof access === "string") return undefined;
  access.url.search = new URLSearchParams({ by, key, format: "json" }).toString();
  const answer = await askSidecar(access, access.url, "GET", AbortSignal.timeout(ASK_MS));
  if (typeof answer === "string" || answer.status !== 200) return undefined;
  const [row] = readList((await readJson(answer))["usage"]);
  return isRecord(row) ? row : undefined;
}
