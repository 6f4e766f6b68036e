import { statusAnswer } from "../sidecar/status.ts";
import { quoteValue } from "../config/problem.ts";
import { seriesAnswer } from "../sidecar/series.ts";
import { formatJson } from "../escape-text.ts";
import { describeThrown } from "../proxy/hook/describe-thrown.ts";
import { askAnswer, describeRefusal, findExitCode } from "./ask-answer.ts";
import { askSidecar } from "./ask-sidecar.ts";
import { createCommand, type CommandInput } from "./command.ts";
import { findSidecar, type SidecarAccess, sidecarArgs } from "./find-sidecar.ts";
import { type CliIo, endWith, exitCodes } from "./io.ts";
import { arrangeRows, type Sort, SORTS } from "./top/arrange-rows.ts";
import { followLive } from "./top/follow-live.ts";
import { LiveModel, type LiveRow } from "./top/live-model.ts";
import { TopScreen } from "./top/top-screen.ts";
import { TopView } from "./top/top-view.ts";
import { addFlowQuery, flowArgs } from "./tunnels.ts";

/** Rows that the sidecar tells at most. */
const MAX_ROWS = 5000;
/** Rows in a line of JSON. */
const JSON_ROWS = 20;

/** `penstock top`: what goes through a running proxy, live. */
export const top = createCommand({
  name: "top",
  description:
    "Watch what goes through a running proxy, second by second, on the whole terminal: throughput, refusals, and a table of tunnels to sort, filter, open and end. ? shows the keys. It needs the sidecar, and its token.",
  examples: [["penstock top", "Watch tunnels, users and targets live."]],
  args: {
    sort: { type: "string", valueHint: SORTS.join("|"), description: "What the table is sorted by. Default: rate." },
    ...flowArgs,
    json: {
      type: "boolean",
      description: "Print a line of JSON each second instead, with the first rows of the table. It needs no terminal.",
    },
    rows: { type: "string", valueHint: "N", description: `Rows in a line of --json. Default: ${JSON_ROWS}.` },
    ...sidecarArgs,
  },
  follows: true,
  async run(input) {
    const { io, has } = input;
    const wanted = await readArguments(input);
    if (typeof wanted === "string") return endWith(io, wanted, exitCodes.usage);
    const { access, url } = wanted;
    // A wrong token or address is told on the lines of the shell.
    const status = await askAnswer(access, new URL("/status", url), statusAnswer);
    if (!status.ok) return endWith(io, status.message, exitCodes.failure);
    const fault = await findFilterFault(access, url);
    if (fault !== undefined) return endWith(io, fault, exitCodes.usage);
    if (has("json")) return printLines(wanted, io);
    const view = new TopView();
    view.sort = wanted.sort;
    view.status = status.value;
    const model = new LiveModel();
    const series = await askAnswer(access, new URL("/series?span=15m", url), seriesAnswer);
    if (series.ok) model.takeSeries(series.value);
    return watch({ ...wanted, model, view }, io);
  },
});

/** What the sidecar says is wrong with the filters. */
async function findFilterFault(access: SidecarAccess, url: URL): Promise<string | undefined> {
  const answer = await askSidecar(access, url, "GET");
  if (typeof answer === "string") return undefined;
  if (findExitCode(answer.status) === exitCodes.usage) return describeRefusal(answer);
  await answer.body?.cancel();
  return undefined;
}

interface Wanted {
  readonly access: SidecarAccess;
  /** `/live`, with the filters. */
  readonly url: URL;
  readonly sort: Sort;
  readonly rows: number;
}

async function readArguments(input: CommandInput): Promise<Wanted | string> {
  const { io, value, has } = input;
  if (!has("json") && (!io.terminal || !io.interactive || io.variables["TERM"] === "dumb"))
    return 'There is no terminal to draw on. "penstock top --json" and "penstock status" need none.';
  const sort = SORTS.find((each) => each === (value("sort") ?? "rate"));
  if (sort === undefined) return `--sort is ${quoteValue(value("sort"))}. Wanted is one of ${SORTS.join(", ")}.`;
  const rows = value("rows") ?? String(JSON_ROWS);
  if (value("rows") !== undefined && !has("json"))
    return "Found --rows without --json: a terminal shows as many as fit.";
  if (!/^[0-9]{1,4}$/.test(rows) || Number(rows) > MAX_ROWS)
    return `--rows is ${quoteValue(rows)}. Wanted is a number from 0 to ${MAX_ROWS}.`;
  const access = await findSidecar(input, "/live", ["read", "operate"]);
  if (typeof access === "string") return access;
  const { url } = access;
  addFlowQuery(input, url);
  url.searchParams.set("tunnels", String(MAX_ROWS));
  return { access, url, sort, rows: Number(rows) };
}

/** Draws until a key, a signal or the end of the terminal. Whatever happens, the terminal is given back. */
async function watch(
  parts: Wanted & { readonly model: LiveModel; readonly view: TopView },
  io: CliIo,
): Promise<number> {
  const leaving = new AbortController();
  let trouble: string | undefined;
  const leave = (why?: string): void => {
    trouble ??= why;
    leaving.abort();
  };
  const forget = io.onBug((error) => leave(`Penstock failed: ${describeThrown(error)}.`));
  const unsubscribe = [io.onStopSignal(() => leave()), io.onOtherSignal(() => leave())];
  try {
    using screen = TopScreen.open({ ...parts, io, leave, leaving: leaving.signal });
    if (screen === undefined) return endWith(io, "There is no terminal to draw on.", exitCodes.usage);
    const fault = await screen.run();
    trouble ??= fault;
  } finally {
    for (const each of unsubscribe) each();
    forget();
  }
  return trouble === undefined ? exitCodes.ok : endWith(io, trouble, exitCodes.failure);
}

/** Prints a line for each second until a signal, or until nobody reads them. */
async function printLines({ access, url, sort, rows: most }: Wanted, io: CliIo): Promise<number> {
  const leaving = new AbortController();
  const unsubscribe = io.onStopSignal(() => leaving.abort());
  const model = new LiveModel();
  const print = (): void => {
    const { point, total } = model;
    if (point === undefined) return;
    const shown = arrangeRows(model.rows, { sort, reversed: false, filter: "" }).slice(0, most);
    const { at, ...figures } = point;
    const line = { time: new Date(at).toISOString(), ...figures, total, rows: shown.map(describeRow) };
    void io.print(`${formatJson(line)}\n`).then((isRead) => {
      if (!isRead) leaving.abort();
    });
  };
  const fault = await followLive(
    access,
    url,
    {
      state: (state) => model.takeState(state, performance.now()),
      tick: (tick) => {
        model.takeTick(tick, performance.now());
        if (tick.points.length > 0) print();
      },
      trouble: io.tell,
    },
    leaving.signal,
  );
  unsubscribe();
  return fault === undefined ? exitCodes.ok : endWith(io, fault, exitCodes.failure);
}

/** A row as `/tunnels` has it, with its speed in bytes per second. */
function describeRow({ up, down, since, ...row }: LiveRow): Readonly<Record<string, unknown>> {
  return {
    ...row,
    age_ms: Math.round(performance.now() - since),
    rate: { up: Math.round(up), down: Math.round(down) },
  };
}
