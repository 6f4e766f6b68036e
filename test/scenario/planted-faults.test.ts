import { expect, test } from "bun:test";
import { openTunnel } from "../support/ask-tunnel.ts";
import { startProgram } from "../support/program.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";

/** As many as there are in the fixture. */
const FAULTS = 12;
const program = new URL("../fixtures/planted-faults.ts", import.meta.url).pathname;
const brokenLoop = new URL("../fixtures/broken-loop.ts", import.meta.url).pathname;

test("a mistake in a timer, a callback, a promise, a watcher or the sidecar is told in one line, and no tunnel ends", async () => {
  await using folder = await makeFolder({
    "proxy.config.json": { listen: ["127.0.0.1:0"], rules: [{ to: ["127.0.0.1"], allowPrivate: true }] },
  });
  using echo = listenEcho();
  await using proxy = startProgram([process.execPath, program], { cwd: folder.path });
  const line = await proxy.untilTold("Listening on ");
  await proxy.untilTold("Splicing");
  const port = Number(/:([0-9]+)\.$/.exec(line)?.[1]);
  const target = `127.0.0.1:${echo.port}`;
  using client = await openTunnel(port, target);

  for (let fault = 0; fault < FAULTS; fault += 1) {
    proxy.signal("SIGWINCH");
    const told = await proxy.untilTold(`planted: fault ${fault}`);
    expect(told).toStartWith("A mistake outside of any connection, which ended none: TypeError: planted: fault");
    expect(told).toMatch(/\(at .*:\d+:\d+\)\.$/);
    // Both event loops turn, timers included, and new connections are served.
    client.write(`<${fault}>`);
    await client.untilText(`<${fault}>`);
    using other = await openTunnel(port, target);
    other.write("x");
    await other.untilText("x");
  }
  // No lines of source, and no stack.
  const extra = proxy.told.filter((each) => /^\s|\^|throw/.test(each));
  expect(extra).toEqual([]);
  proxy.signal("SIGTERM");
  client.finish();
  expect(await proxy.exited).toBe(0);
});

test("an event loop that cannot wait any more ends the process with a message, rather than to spin", async () => {
  await using folder = await makeFolder({
    "proxy.config.json": { listen: ["127.0.0.1:0"], rules: [{ to: ["127.0.0.1"], allowPrivate: true }] },
  });
  using echo = listenEcho();
  await using proxy = startProgram([process.execPath, brokenLoop], { cwd: folder.path });
  const line = await proxy.untilTold("Listening on ");
  await proxy.untilTold("Splicing");
  using client = await openTunnel(Number(/:([0-9]+)\.$/.exec(line)?.[1]), `127.0.0.1:${echo.port}`);
  client.write("x");
  await client.untilText("x");
  proxy.signal("SIGWINCH");
  expect(await proxy.exited).toBe(1);
  expect(proxy.told.at(-1)).toStartWith(
    "Penstock failed: FatalError: The event loop cannot wait for its connections any more (at ",
  );
});
