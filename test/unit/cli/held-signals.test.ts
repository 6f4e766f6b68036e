import { expect, test } from "bun:test";
import { HeldSignals } from "../../../src/cli/held-signals.ts";
import { waitFor } from "../../support/wait-for.ts";

/** Two that mean nothing to the test runner. */
const [first, second] = ["SIGUSR1", "SIGUSR2"] as const;

/** Sends a signal to this process and waits until it has come. */
async function raise(signal: NodeJS.Signals): Promise<void> {
  const { promise: came, resolve } = Promise.withResolvers<void>();
  process.once(signal, () => resolve());
  process.kill(process.pid, signal);
  await came;
}

test("a signal that came before anybody listened is told to the first who listens for it, and once", async () => {
  const held = new HeldSignals([first, second]);
  await raise(second);
  const heard: string[] = [];
  const listen = (signal: NodeJS.Signals, who: string) => held.listen([signal], (name) => heard.push(`${who} ${name}`));
  const unsubscribe = [listen(first, "one"), listen(second, "two"), listen(second, "three")];
  await waitFor(() => heard.length > 0, "the held signal");
  expect(heard).toEqual([`two ${second}`]);
  for (const end of unsubscribe) end();
});

test("signals that come while somebody listens are not held for the next", async () => {
  const held = new HeldSignals([first]);
  const heard: string[] = [];
  const end = held.listen([first], (signal) => heard.push(signal));
  await raise(first);
  end();
  held.listen([first], () => heard.push("again"))();
  await waitFor(() => heard.length > 0, "the signal");
  expect(heard).toEqual([first]);
});
