// First: see there.
import { heldSignals } from "./cli/held-signals.ts";
import { exitCodes } from "./cli/io.ts";
import { createProcessIo } from "./cli/process-io.ts";
import { runCli } from "./cli/run-cli.ts";
import { describeThrown } from "./proxy/hook/describe-thrown.ts";

/**
 * The executable: the only place that may end the process. `exit` is taken now:
 * a configuration file that is being imported may replace `process.exit`.
 */
const exit = process.exit.bind(process);
const io = createProcessIo((code) => exit(code), heldSignals);
let code: number;
try {
  code = await runCli(process.argv.slice(2), io);
} catch (error) {
  io.tell(`Penstock failed: ${describeThrown(error)}.`);
  code = exitCodes.failure;
}
exit(code);
