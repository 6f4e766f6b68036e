import { describe, expect, test } from "bun:test";
import type { NameAnswer } from "../../../../src/net/dns/ask-servers.ts";
import { createWalk, type Found } from "../../../../src/net/dns/name-walk.ts";
import { parseResolvConf } from "../../../../src/net/dns/resolv-conf.ts";
import { TYPE_AAAA } from "../../../../src/protocol/dns/message.ts";

type Word = "found" | "no_name" | "no_data" | "failure" | "timeout" | "silent";

const answers: Readonly<Record<Exclude<Word, "silent">, NameAnswer>> = {
  found: { kind: "found", addresses: [Uint8Array.of(192, 0, 2, 1)], ttl: 60 },
  no_name: { kind: "no_name" },
  no_data: { kind: "no_data" },
  failure: { kind: "trouble", note: "ESERVFAIL" },
  timeout: { kind: "trouble", note: "ETIMEOUT" },
};

/** Walks over a zone of words, `A AAAA`; gives the names that were tried and what is told of both families. */
function walk(name: string, zone: Readonly<Record<string, string>>, conf = "search one.test two.test\n") {
  const tried: string[] = [];
  const told: Partial<Record<4 | 6, Found>> = {};
  const whole = Promise.withResolvers<void>();
  const start = createWalk(
    ({ name: asked, type }, _, done) => {
      if (!tried.includes(asked)) tried.push(asked);
      const words = (zone[asked] ?? "no_name no_name").split(" ") as Word[];
      const word = words[type === TYPE_AAAA ? 1 : 0] ?? "silent";
      let over = false;
      if (word !== "silent") queueMicrotask(() => over || done(answers[word]));
      return () => {
        over = true;
      };
    },
    () => parseResolvConf(conf, ""),
  );
  const cancel = start({ kind: "name", text: name }, (family, found) => {
    if (told[family] !== undefined) throw new Error(`family ${family} was told twice`);
    told[family] = found;
    if (told[4] !== undefined && told[6] !== undefined) whole.resolve();
  });
  return { tried, told, cancel, whole: whole.promise };
}

/** `ok name`, or the note, of both families. */
async function end(walking: ReturnType<typeof walk>): Promise<string[]> {
  await walking.whole;
  return ([4, 6] as const).map((family) => {
    const lookup = walking.told[family]?.lookup;
    return lookup?.ok === true ? `ok ${lookup.name}` : (lookup?.note ?? "nothing");
  });
}

describe("a walk", () => {
  test("ends at the first name that has an address of either family", async () => {
    const walking = walk("a", { "a.one.test": "no_data found", "a.two.test": "found found" });
    expect(await end(walking)).toEqual(["ENOTFOUND", "ok a.one.test"]);
    expect(walking.tried).toEqual(["a.one.test"]);
  });

  test("goes past names that do not exist, have no addresses, or whose servers fail", async () => {
    for (const words of ["no_name no_name", "no_data no_data", "failure failure", "no_name failure"]) {
      const walking = walk("a", { "a.one.test": words, "a.two.test": "found no_data" });
      expect(await end(walking)).toEqual(["ok a.two.test", "ENOTFOUND"]);
    }
  });

  test("does not put another name in the place of one that may exist", async () => {
    for (const [words, note] of [
      ["failure failure", "ESERVFAIL"],
      ["no_data failure", "ESERVFAIL"],
      ["timeout timeout", "ETIMEOUT"],
    ] as const) {
      const walking = walk("www.a", { "www.a": words, "www.a.one.test": "found found" });
      expect(await end(walking)).toEqual([note, note]);
      expect(walking.tried).toEqual(["www.a"]);
    }
  });

  test("asks silent servers for no more of the search list than the name itself", async () => {
    const walking = walk("a", { "a.one.test": "timeout timeout", a: "found no_data" });
    expect(await end(walking)).toEqual(["ok a", "ENOTFOUND"]);
    expect(walking.tried).toEqual(["a.one.test", "a"]);
  });

  test("tells what went wrong with the name itself before what went wrong with others", async () => {
    expect(await end(walk("a", { "a.one.test": "failure failure", a: "timeout timeout" }))).toEqual([
      "ETIMEOUT",
      "ETIMEOUT",
    ]);
    expect(await end(walk("a", { "a.one.test": "failure failure" }))).toEqual(["ESERVFAIL", "ESERVFAIL"]);
  });

  test("goes on when one family says that there is no such name and the other one is silent", async () => {
    const walking = walk("a", { "a.one.test": "no_name silent", "a.two.test": "found no_data" });
    expect(await end(walking)).toEqual(["ok a.two.test", "ENOTFOUND"]);
  });

  test("believes an address that contradicts", async () => {
    expect(await end(walk("www.a", { "www.a": "found no_name" }))).toEqual(["ok www.a", "ENOTFOUND"]);
    expect(await end(walk("www.a", { "www.a": "no_name found" }))).toEqual(["ENOTFOUND", "ok www.a"]);
  });

  test("tells one family while the other one is silent, and nothing after it was given up", async () => {
    const walking = walk("www.a", { "www.a": "found silent" });
    while (walking.told[4] === undefined) await Promise.resolve();
    expect(walking.told[4].lookup).toMatchObject({ ok: true, name: "www.a" });
    walking.cancel();
    expect(walking.told[6]).toBeUndefined();
  });

  test("does not ask for AAAA where resolv.conf says so", async () => {
    expect(await end(walk("www.a", { "www.a": "found silent" }, "options no-aaaa\n"))).toEqual([
      "ok www.a",
      "ENOTFOUND",
    ]);
  });
});
