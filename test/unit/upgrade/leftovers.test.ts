import { expect, test } from "bun:test";
import { readdir, rm } from "node:fs/promises";
import { removeStale, writeCandidate } from "../../../src/upgrade/replace-executable.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

const HOUR_MS = 60 * 60 * 1000;

test("what a killed upgrade left is removed an hour later, and nothing else", async () => {
  const kept = [
    "penstock",
    "penstock.previous",
    ".penstock.env",
    ".penstock.0123456789ab.new.txt",
    ".other.0123456789ab.new",
  ];
  const left = [".penstock.0123456789ab.new", ".penstock.ba9876543210.older", ".penstock.ba9876543211.old"];
  await using folder = await makeFolder(Object.fromEntries([...kept, ...left].map((name) => [name, "x"])));
  const target = `${folder.path}/penstock`;
  await removeStale(target);
  expect((await readdir(folder.path)).toSorted()).toEqual([...kept, ...left].toSorted());
  await removeStale(target, Date.now() + 2 * HOUR_MS);
  expect((await readdir(folder.path)).toSorted()).toEqual(kept.toSorted());
  await removeStale(`${folder.path}/no-such-folder/penstock`);
});

test.each([[{ "penstock.previous": "older" }], [{}]])(
  "a replacement that fails half-way leaves the executable and %j as before",
  async (previous) => {
    const files = { penstock: "present", ...previous };
    await using folder = await makeFolder(files);
    const written = await writeCandidate(`${folder.path}/penstock`, Buffer.from("new"));
    if (!written.ok) throw new Error(written.message);
    await rm(written.value.path);
    expect(await written.value.install()).toMatchObject({ ok: false, step: "replace" });
    const names = await readdir(folder.path);
    const texts = names.map(async (name) => [name, await Bun.file(`${folder.path}/${name}`).text()]);
    expect(Object.fromEntries(await Promise.all(texts))).toEqual(files);
  },
);
