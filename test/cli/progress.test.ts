import { expect, test } from "bun:test";
import { findExecutable } from "../support/build-executable.ts";
import { startOnTerminal } from "../support/terminal-program.ts";

/** A server that never answers. */
function listenSilently() {
  return Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
}

const TIMEOUT_MS = 180_000;

test(
  "a terminal shows what takes longer than a second, and nothing of it stays",
  async () => {
    using server = listenSilently();
    const url = `http://127.0.0.1:${server.port}/`;
    await using program = startOnTerminal([await findExecutable(), "trace", url, "--timeout", "3s"]);
    await program.untilShown(/^Tracing http:\/\/127\.0\.0\.1:\d+\/ \(1 s\)$/);
    expect(await program.exited).toBe(1);
    await program.untilShown(/Not done after 3000 ms/);
    expect(program.screen.lines.join("\n")).not.toContain("Tracing");
  },
  TIMEOUT_MS,
);

test.each([["--json"], ["--quiet"]])(
  "with %s nothing of it is shown",
  async (flag) => {
    using server = listenSilently();
    const url = `http://127.0.0.1:${server.port}/`;
    await using program = startOnTerminal([await findExecutable(), "trace", url, "--timeout", "1500ms", flag]);
    expect(await program.exited).toBe(1);
    await program.untilShown(/Not done after 1500 ms/);
    expect(program.output()).not.toContain("Tracing");
  },
  TIMEOUT_MS,
);
