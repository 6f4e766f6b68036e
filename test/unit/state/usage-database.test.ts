import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { existsSync, truncateSync, writeFileSync } from "node:fs";
import { UsageDatabase } from "../../../src/state/usage-database.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

const AT = { day: 20_000, month: 19_990, known: [] };

/** Opens the file in a folder, and closes it with the test. */
function open(path: string, known: readonly (readonly [string, number, number, number, number])[] = []) {
  const { database, isDamaged } = UsageDatabase.open(`${path}/usage.db`, { ...AT, known });
  return { database, isDamaged, [Symbol.dispose]: () => database.close() };
}

function change(path: string, statement: string): void {
  using database = new Database(path);
  database.run(statement);
}

describe("the file of use", () => {
  test("adds what several processes add, each to what is there", async () => {
    await using folder = await makeFolder();
    using one = open(folder.path);
    using other = open(folder.path);
    expect(one.database.add([["ci", 20_000, 10, 20, 1]], 20_000)).toEqual([["ci", 20_000, 10, 20, 1]]);
    expect(other.database.wasChanged()).toBe(true);
    expect(other.database.add([["ci", 20_000, 5, 0, 0]], 20_000)).toEqual([["ci", 20_000, 15, 20, 1]]);
    expect(one.database.wasChanged()).toBe(true);
    expect(one.database.load(19_990)).toEqual([["ci", 20_000, 15, 20, 1]]);
    expect(one.database.wasChanged()).toBe(false);
  });

  test("holds exact counts past 32 bits, and takes back what was counted too much", async () => {
    await using folder = await makeFolder();
    using file = open(folder.path);
    const much = 2 ** 52;
    file.database.add([["ci", 20_000, much, 1, 0]], 20_000);
    expect(file.database.add([["ci", 20_000, -1, 3_000_000_000, 0]], 20_000)).toEqual([
      ["ci", 20_000, much - 1, 3_000_000_001, 0],
    ]);
  });

  test("takes names for what they are", async () => {
    await using folder = await makeFolder();
    using file = open(folder.path);
    const names = ["'; DROP TABLE use; --", "ünï", "a b", '"'];
    file.database.add(
      names.map((name) => [name, 20_000, 1, 1, 1] as const),
      20_000,
    );
    expect(
      file.database
        .load(0)
        .map(([name]) => name)
        .sort(),
    ).toEqual([...names].sort());
  });

  test("forgets what is older than 13 months", async () => {
    await using folder = await makeFolder();
    using file = open(folder.path);
    file.database.add(
      [
        ["ci", 19_590, 1, 1, 1],
        ["ci", 19_700, 1, 1, 1],
      ],
      20_000,
    );
    file.database.add([["ci", 20_001, 1, 1, 1]], 20_001);
    expect(file.database.load(0).map(([, day]) => day)).toEqual([19_700, 20_001]);
    expect(file.database.day).toBe(20_001);
  });

  test("forgets nothing when the clock is years ahead, and then back", async () => {
    await using folder = await makeFolder();
    {
      using file = open(folder.path);
      file.database.add([["ci", 20_000, 1, 1, 1]], 20_000);
    }
    const ahead = UsageDatabase.open(`${folder.path}/usage.db`, { day: 21_500, month: 21_490, known: [] }).database;
    ahead.add([["ci", 21_500, 2, 2, 2]], 21_500);
    ahead.close();
    using file = open(folder.path);
    file.database.add([["ci", 20_001, 3, 3, 3]], 20_001);
    expect(file.database.load(0).map(([, day]) => day)).toEqual([20_000, 20_001, 21_500]);
  });

  test("sums up by user, also from before the month", async () => {
    await using folder = await makeFolder();
    using file = open(folder.path);
    file.database.add(
      [
        ["ci", 19_900, 1, 2, 3],
        ["ci", 20_000, 10, 20, 30],
        ["bob", 20_000, 5, 5, 5],
      ],
      20_000,
    );
    expect([...file.database.sum(19_900, 20_000)].sort()).toEqual([
      ["bob", 19_900, 5, 5, 5],
      ["ci", 19_900, 11, 22, 33],
    ]);
    expect(file.database.find(["ci"], 19_990, 20_000)).toEqual([["ci", 20_000, 10, 20, 30]]);
  });

  /** Writes a file with one row and its copy, and closes it. */
  function fill(path: string): void {
    using file = open(path);
    file.database.add([["ci", 20_000, 10, 20, 1]], 20_000);
    file.database.copy(19_990, 0, true);
  }

  test.each([
    [
      "is overwritten",
      (path: string) => writeFileSync(path, "not a database, and long enough to be looked at ".repeat(99)),
    ],
    ["is cut to nothing", (path: string) => truncateSync(path, 0)],
    ["is cut in the middle", (path: string) => truncateSync(path, 6000)],
    ["has a text where a number belongs", (path: string) => change(path, "UPDATE use SET down = 'much'")],
    ["has a table of another program", (path: string) => change(path, "ALTER TABLE use RENAME COLUMN up TO upwards")],
  ])("comes back from its copy when it %s", async (_, damage) => {
    await using folder = await makeFolder();
    fill(folder.path);
    damage(`${folder.path}/usage.db`);
    using file = open(folder.path);
    expect(file.database.load(0)).toEqual([["ci", 20_000, 10, 20, 1]]);
    expect(file.database.lost).toBeUndefined();
  });

  test("says which day and month are lost when the copy is damaged, too; also after another start", async () => {
    await using folder = await makeFolder();
    fill(folder.path);
    for (const name of ["usage.db", "usage.db.copy"]) writeFileSync(`${folder.path}/${name}`, "nonsense".repeat(999));
    {
      using file = open(folder.path);
      expect(file.isDamaged).toBe(true);
      expect(file.database.load(0)).toEqual([]);
      expect(file.database.lost).toEqual({ day: 20_000, month: 19_990 });
    }
    using file = open(folder.path);
    expect(file.isDamaged).toBe(false);
    expect(file.database.lost).toEqual({ day: 20_000, month: 19_990 });
    expect(existsSync(`${folder.path}/usage.db.damaged`)).toBe(true);
  });

  test.each(['{"a":1}', "[1]", '[["ci",20000,1,"2",3]]'])("takes no copy whose rows are %s", async (rows) => {
    await using folder = await makeFolder();
    fill(folder.path);
    writeFileSync(`${folder.path}/usage.db`, "nonsense".repeat(999));
    const hash = new Bun.CryptoHasher("sha256").update(rows).digest("hex");
    writeFileSync(`${folder.path}/usage.db.copy`, `${hash}\n${rows}\n`);
    using file = open(folder.path);
    expect(file.database.load(0)).toEqual([]);
    expect(file.database.lost).toEqual({ day: 20_000, month: 19_990 });
  });

  test("takes what is known instead of an older copy", async () => {
    await using folder = await makeFolder();
    fill(folder.path);
    writeFileSync(`${folder.path}/usage.db`, "nonsense".repeat(999));
    using file = open(folder.path, [["ci", 20_000, 100, 200, 9]]);
    expect(file.database.load(0)).toEqual([["ci", 20_000, 100, 200, 9]]);
  });

  test("is whole at the first start: nothing was lost", async () => {
    await using folder = await makeFolder();
    using file = open(folder.path);
    expect([file.isDamaged, file.database.lost, file.database.day]).toEqual([false, undefined, undefined]);
  });

  test("finds out while it is open that it was replaced or damaged", async () => {
    await using folder = await makeFolder();
    using file = open(folder.path);
    file.database.add([["ci", 20_000, 10, 20, 1]], 20_000);
    expect(() => file.database.check()).not.toThrow();
    using other = new Database(`${folder.path}/usage.db`);
    other.run("PRAGMA wal_checkpoint(TRUNCATE)");
    writeFileSync(`${folder.path}/usage.db`, "nonsense".repeat(9999));
    expect(() => file.database.check()).toThrow();
  });

  test("can be read while another program has it locked, or from its copy", async () => {
    await using folder = await makeFolder();
    fill(folder.path);
    using other = new Database(`${folder.path}/usage.db`);
    other.run("PRAGMA locking_mode = EXCLUSIVE");
    other.run("BEGIN EXCLUSIVE");
    expect(() => UsageDatabase.open(`${folder.path}/usage.db`, AT)).toThrow("locked");
    expect(UsageDatabase.peek(`${folder.path}/usage.db`, 19_990)).toEqual([["ci", 20_000, 10, 20, 1]]);
  });
});
