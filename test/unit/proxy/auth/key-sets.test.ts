import { expect, test } from "bun:test";
import type { Fetched } from "../../../../src/net/http/fetch-text.ts";
import { KeySets } from "../../../../src/proxy/auth/key-sets.ts";
import { HookReporter } from "../../../../src/proxy/record/hook-reporter.ts";
import { startIssuer } from "../../../support/token-issuer.ts";

test("a key server that fails is told as the end of connections only while there are no keys", async () => {
  await using issuer = await startIssuer();
  const failed = { kind: "failed" as const, why: "answered with 500" };
  const clock = { now: 0 };
  let answer: Fetched = failed;
  const messages: string[] = [];
  const reporter = new HookReporter((message) => messages.push(message), { now: () => clock.now });
  const sets = new KeySets({ now: () => clock.now, fetch: () => Promise.resolve(answer) });
  const keys = sets.find({
    keys: { kind: "url", url: "https://id.test/jwks", ca: undefined, timeoutMs: 1000, refreshMs: 60_000 },
    keysId: "one",
  });
  const renew = async (next: Fetched) => {
    clock.now += 60_000;
    answer = next;
    await keys.renew();
    for (const fault of sets.takeFaults()) reporter.report({ hook: "users key server", fault });
  };
  await renew(failed);
  const bytes = Buffer.from(JSON.stringify(issuer.jwks()));
  await renew({ kind: "content", bytes, etag: undefined, lastModified: undefined });
  await renew(failed);
  expect(keys.keys).toBeDefined();
  expect(messages).toEqual([
    "The users key server answered with 500, so the connection is refused.",
    "The users key server answered with 500, so the keys that were fetched before stay in use.",
  ]);
});
