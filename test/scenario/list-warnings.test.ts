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

test("lists are in /status, metrics and events by a name without secrets", async () => {
  let answer = () => new Response("no", { status: 500 });
  await using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => answer() });
  const url = `http://127.0.0.1:${server.port}/bad.txt`;
  await using proxy = await startProxy({
    lists: { bad: { url: `${url}?key=s3cret`, every: "50ms" } },
    rules: [
      { to: ["@bad"], deny: true },
      { to: [{ url: `${url}?key=s3cret2`, every: "50ms" }], deny: true },
    ],
  });
  const readStatus = async () => (await (await proxy.ask("/status")).json()) as { lists: Record<string, unknown>[] };
  const { lists } = await readStatus();
  expect(lists).toMatchObject([
    { name: "@bad", state: "empty", entries: 0, why: "The list answered with 500." },
    { name: `${url}?…`, state: "empty", entries: 0 },
  ]);
  expect(lists[0]).not.toHaveProperty("read_at");
  expect(await proxy.metrics()).toMatch(/^penstock_list_failures_total\{list="@bad"\} [1-9]/m);
  expect(await proxy.metrics()).not.toContain("penstock_list_age_seconds{");
  answer = () => new Response("bad.test\nworse.test\n");
  const isGood = async () => ((await readStatus()).lists.every(({ state }) => state === "good") ? true : undefined);
  await waitFor(isGood, "both lists");
  const metrics = await proxy.metrics();
  for (const name of ["@bad", `${url}?…`]) {
    expect(metrics).toContain(`penstock_list_entries{list="${name}"} 2\n`);
    expect(metrics).toContain(`penstock_list_usable{list="${name}"} 1\n`);
    expect(metrics).toContain(`penstock_list_age_seconds{list="${name}"} `);
  }
  const { events } = (await (await proxy.ask("/events?type=list&after=x")).json()) as { events: object[] };
  const ofBad = events.filter((event) => "list" in event && event.list === "@bad");
  expect(ofBad).toMatchObject([
    { change: "failed", why: "The list answered with 500.", in_use: false },
    { change: "read", entries: 2 },
  ]);
  expect(`${JSON.stringify([await readStatus(), events])} ${metrics}`).not.toContain("s3cret");
});
