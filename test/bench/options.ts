import { parseArgs } from "node:util";

export interface BenchOptions {
  /** Which question is asked. */
  readonly suite: "comparison" | "growth" | "promotion";
  readonly quick: boolean;
  /** Parts of scenario names; empty for all. */
  readonly only: readonly string[];
  /** Parts of peer names; empty for all. */
  readonly peers: readonly string[];
  readonly rounds: number;
  /** Measured time of a run. */
  readonly ms: number;
  readonly countSystemCalls: boolean;
  /** Whether client and origin get one CPU and the proxy another. */
  readonly pin: boolean;
  /** Folder for what is written. */
  readonly out: string;
  /** A JSON file of an earlier run to write the report of, instead of measuring. */
  readonly from: string | undefined;
  readonly help: boolean;
}

export const help = `Usage: bun run bench [options]

Compares Penstock with other proxies on this machine, over loopback.
BENCH_PENSTOCK names another executable than dist/penstock, and
BENCH_PENSTOCK_BEFORE one to compare it with.

  --growth           how cost grows with tunnels, bytes and the size of messages
  --promotion        what a tunnel costs by its bytes and the setting "spliceAfter"
  --quick            the main scenarios and peers, one short round: under a minute
  --only TEXT        scenarios with this name, or else with TEXT in it; may be repeated
  --peers TEXT       peers with this name, or else with TEXT in it; may be repeated
  --rounds N         rounds, interleaved (default 3)
  --seconds S        measured time of a run (default 3)
  --no-pin           leave it to the system which CPU runs what
  --system-calls     also count the system calls of Penstock, in runs of their own
  --out FOLDER       where JSON, Markdown and plots go (default dist/bench)
  --from FILE        write the report of this JSON file again, and measure nothing
  --help             this text
`;

/** Reads the command line; throws with what is wrong about it. */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      growth: { type: "boolean", default: false },
      promotion: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      peers: { type: "string", multiple: true, default: [] },
      rounds: { type: "string" },
      seconds: { type: "string" },
      "system-calls": { type: "boolean", default: false },
      "no-pin": { type: "boolean", default: false },
      out: { type: "string", default: "dist/bench" },
      from: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.growth && values.promotion)
    throw new Error("--growth and --promotion are two questions: ask one of them.");
  return {
    suite: values.growth ? "growth" : values.promotion ? "promotion" : "comparison",
    quick: values.quick,
    only: values.only,
    peers: values.peers,
    rounds: Math.ceil(readNumber("--rounds", values.rounds, values.quick ? 1 : 3)),
    ms: readNumber("--seconds", values.seconds, values.quick ? 1 : 3) * 1000,
    countSystemCalls: values["system-calls"],
    pin: !values["no-pin"],
    out: values.out,
    from: values.from,
    help: values.help,
  };
}

function readNumber(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!(value > 0 && value <= 1000))
    throw new Error(`${name} is "${text}": a number above 0 and up to 1000 is wanted.`);
  return value;
}
