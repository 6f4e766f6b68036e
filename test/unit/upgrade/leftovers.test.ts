import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { removeStale } from "../../../src/upgrade/replace-executable.ts";
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
