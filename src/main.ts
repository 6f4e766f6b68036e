import { createProcessIo } from "./cli/process-io.ts";
import { runCli } from "./cli/run-cli.ts";

/** The executable: the only place that may end the process. */
process.exit(await runCli(process.argv.slice(2), createProcessIo()));
