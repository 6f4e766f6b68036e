import { expect, test } from "bun:test";
import { startProxy, waitFor } from "../support/proxy.ts";

test("a list without content is a warning of /readyz and /status until it has some", async () => {
  let answer = () => new Response("no", { status: 500 });
  await using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => answer() });
  const url = `http://127.0.0.1:${server.port}/bad.txt`;
  await using proxy = await startProxy({ rules: [{ to: [{ url, every: "1s" }], deny: true }] });
  const ask = async (path: string) => (await (await proxy.ask(path)).json()) as Record<string, unknown>;
  const warning = `The list ${url} has no content yet: rules that deny by it refuse everything, and rules that allow by it match nothing.`;
  expect(await ask("/readyz")).toMatchObject({ ready: true, warning });
  expect((await ask("/status"))["warnings"]).toContain(warning);
  answer = () => new Response("bad.test\n");
  await waitFor(async () => ("warning" in (await ask("/readyz")) ? undefined : true), "the list");
  answer = () => new Response("bad.test\nno name at all/\n");
  const stale = `The list ${url} has new content that cannot be used: the one before is in use.`;
  await waitFor(async () => ((await ask("/readyz"))["warning"] === stale ? true : undefined), "a warning");
});
