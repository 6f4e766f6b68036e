import { parseArgs } from "node:util";

export interface BenchOptions {
  readonly quick: boolean;
  /** Parts of scenario names; empty for all. */
  readonly only: readonly string[];
  /** Parts of peer names; empty for all. */
  readonly peers: readonly string[];
  readonly rounds: number;
  /** Measured time of a run. */
  readonly ms: number;
  readonly countSystemCalls: boolean;
  /** Folder for bench.json and bench.md. */
  readonly out: string;
  readonly help: boolean;
}

export const help = `Usage: bun run bench [options]

Compares Penstock with other proxies on this machine, over loopback.

  --quick            the main scenarios and peers, one short round: under a minute
  --only TEXT        scenarios whose name contains TEXT; may be repeated
  --peers TEXT       peers whose name contains TEXT; may be repeated
  --rounds N         rounds, interleaved (default 3)
  --seconds S        measured time of a run (default 3)
  --system-calls     also count the system calls of Penstock, in runs of their own
  --out FOLDER       where bench.json and bench.md go (default dist/bench)
  --help             this text
`;

/** Reads the command line; throws with what is wrong about it. */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      peers: { type: "string", multiple: true, default: [] },
      rounds: { type: "string" },
      seconds: { type: "string" },
      "system-calls": { type: "boolean", default: false },
      out: { type: "string", default: "dist/bench" },
      help: { type: "boolean", default: false },
    },
  });
  return {
    quick: values.quick,
    only: values.only,
    peers: values.peers,
    rounds: readNumber("--rounds", values.rounds, values.quick ? 1 : 3),
    ms: readNumber("--seconds", values.seconds, values.quick ? 1 : 3) * 1000,
    countSystemCalls: values["system-calls"],
    out: values.out,
    help: values.help,
  };
}

function readNumber(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!(value > 0 && value <= 1000)) throw new Error(`${name} is "${text}": a number from 1 to 1000 is wanted.`);
  return value;
}
