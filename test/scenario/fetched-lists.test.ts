import { expect, test } from "bun:test";

import { readListCopy } from "../../src/lists/list-copies.ts";
import { startProxy, waitFor } from "../support/proxy.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";

/** A server of one list. Without a text it answers 503. */
function serveList(text?: string) {
  const served = { text, asked: [] as (string | null)[] };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch({ headers }) {
      served.asked.push(headers.get("if-none-match"));
      const tag = `"${Bun.hash(served.text ?? "")}"`;
      if (served.text === undefined) return new Response("later", { status: 503 });
      return headers.get("if-none-match") === tag
        ? new Response(null, { status: 304 })
        : new Response(served.text, { headers: { ETag: tag } });
    },
  });
  const url = `http://127.0.0.1:${server.port}/list.txt`;
  return { served, url, [Symbol.dispose]: () => void server.stop(true) };
}

/** Names that a rule lets through resolve to a special-purpose address, which no list opens. */
const resolver = createFakeResolver({ "a.example": ["10.0.0.1"], "b.example": ["10.0.0.1"] });

/** What became of each target: the word of its refusal. */
async function judge(proxy: Awaited<ReturnType<typeof startProxy>>, target: string): Promise<unknown> {
  const at = proxy.records.length;
  await proxy.tunnel(target);
  return (await proxy.record(at))["detail"];
}

test("a list from a URL is in effect at the start, fetched again, and opens no special-purpose address", async () => {
  using list = serveList("a.example\n");
  const rules = [{ to: [{ url: list.url, every: "50ms" }], allow: true }];
  await using proxy = await startProxy({ rules, default: "deny" }, { resolver });
  expect(await judge(proxy, "a.example:443")).toBe("address_prohibited");
  expect(await judge(proxy, "b.example:443")).toBe("denied_by_default");
  await waitFor(() => list.served.asked.at(-1) !== null, "the list is asked for with its tag");
  list.served.text = "b.example\n";
  await waitFor(() => proxy.messages.some((each) => each.startsWith("Read the list http://127")), "the new list");
  expect(await judge(proxy, "a.example:443")).toBe("denied_by_default");
  expect(await judge(proxy, "b.example:443")).toBe("address_prohibited");

  list.served.text = "<html>Please log in</html>\n";
  const isTold = (part: string) => () => proxy.messages.some((each) => each.includes(part));
  await waitFor(isTold("The one before stays in use"), "the broken list");
  expect(await judge(proxy, "b.example:443")).toBe("address_prohibited");
  list.served.text = undefined;
  await waitFor(isTold("answered with 503"), "the unreachable list");
  expect(await judge(proxy, "b.example:443")).toBe("address_prohibited");
  // A reload keeps what is known.
  expect(await proxy.reload({ rules: [...rules, { to: ["c.example"], deny: true }], default: "deny" })).toMatchObject({
    kind: "done",
  });
  expect(await judge(proxy, "b.example:443")).toBe("address_prohibited");
});

test("a rule that denies by a list that was never there refuses what it would have judged, until it is there", async () => {
  using list = serveList();
  const rules = [{ to: [{ url: list.url, every: "50ms" }], deny: true }];
  await using proxy = await startProxy({ rules, default: "direct" }, { resolver });
  expect(await judge(proxy, "a.example:443")).toBe("list_unavailable");
  expect(proxy.messages.join("\n")).toContain(
    "Until there is one, rules that allow by it match nothing, and rules that deny by it refuse everything:",
  );
  list.served.text = "b.example\n";
  await waitFor(() => proxy.messages.some((each) => each.startsWith("Read the list http://127")), "the list");
  expect(await judge(proxy, "a.example:443")).toBe("address_prohibited");
  expect(await judge(proxy, "b.example:443")).toBe("denied_by_rule");
});

test("a list with another hash is not used, and a good one is kept in the state folder", async () => {
  const text = "a.example\n";
  await using folder = await makeFolder();
  using list = serveList("b.example\n");
  const sha256 = new Bun.CryptoHasher("sha256").update(text).digest("hex");
  const rules = [{ to: [{ url: list.url, every: "50ms", sha256 }], allow: true }];
  const state = { folder: `${folder.path}/state` };
  await using proxy = await startProxy({ rules, default: "deny", state }, { resolver });
  expect(await judge(proxy, "b.example:443")).toBe("denied_by_default");
  expect(proxy.messages.join("\n")).toContain('has another content than "sha256" says');
  list.served.text = text;
  await waitFor(() => proxy.messages.some((each) => each.startsWith("Read the list http://127")), "the list");
  expect(await judge(proxy, "a.example:443")).toBe("address_prohibited");
  const kept = await waitFor(() => readListCopy(state.folder, `url ${list.url} ${sha256}`), "the copy");
  expect(kept).toBe(text);
});
