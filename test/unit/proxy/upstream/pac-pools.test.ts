import { describe, expect, test } from "bun:test";
import { parseChoice } from "../../../../src/protocol/pac/read-pac-result.ts";
import { PacWays } from "../../../../src/proxy/pac/pac-plan.ts";
import type { PoolPlan } from "../../../../src/proxy/route/pool-plan.ts";
import { describeProxies } from "../../../../src/proxy/upstream/pac-proxies.ts";
import { PoolStand, take, wish } from "../../../support/make-pool.ts";

/** Pools of a PAC file that names proxies, under one snapshot after the other. */
class PacStand extends PoolStand {
  ways = this.#create();

  /** Another snapshot has the same upstream. */
  reload(): void {
    this.ways = this.#create();
    this.pools.use(new Map(), new Map([["corp", {}]]));
  }

  /** The pool of what the file answered: `http://a:1,direct`. */
  name(answer: string) {
    const choices = answer.split(",").map(parseChoice);
    const { way } = this.ways.find(choices.filter((choice) => choice !== undefined));
    return this.open(way as PoolPlan);
  }

  describe() {
    return describeProxies(this.pools, "corp").map(({ name, health }) => `${name} ${health}`);
  }

  #create(): PacWays {
    return new PacWays({ kind: "pac", name: "corp", credentials: () => undefined });
  }
}

/** The proxy that a request goes through; nobody is left when there is none. */
function choose(stand: PacStand, answer: string): string {
  const use = stand.name(answer).take(wish());
  if (typeof use === "string") return use;
  use.abandoned();
  return use.hop?.name ?? "direct";
}

describe("the proxies that a PAC file names", () => {
  test("are listed with their health, which all answers share, those first that are not healthy", () => {
    const stand = new PacStand();
    const [a, b] = ["http://a:1", "https://b:443"];
    take(stand.name(`${a},${b}`)).failed("connection_refused");
    expect(stand.describe()).toEqual([`${a} ejected`, `${b} healthy`]);
    expect(choose(stand, `${a},${b}`)).toBe(`corp/${b}`);
    expect(choose(stand, `${a},direct`)).toBe("direct");
  });

  test("are tried where they stand alone, even when they are ejected, and a success ends that", () => {
    const stand = new PacStand();
    const a = "http://a:1";
    take(stand.name(`${a},direct`)).failed("connection_refused");
    stand.now += 1;
    expect(choose(stand, a)).toBe(`corp/${a}`);
    const failing = take(stand.name(a));
    failing.failed("connection_refused");
    expect(stand.describe()).toEqual([`${a} ejected`]);
    expect(stand.name(a).members[0]?.health.ejections).toBe(1);
    take(stand.name(a)).connected();
    expect(stand.describe()).toEqual([`${a} healthy`]);
    expect(choose(stand, `${a},direct`)).toBe(`corp/${a}`);
  });

  test("are tried where they stand alone, also while another request is the trial", () => {
    const stand = new PacStand();
    const a = "http://a:1";
    take(stand.name(`${a},direct`)).failed("connection_refused");
    stand.now += 10_000;
    const trial = take(stand.name(`${a},direct`));
    expect(trial.hop?.name).toBe(`corp/${a}`);
    take(stand.name(a)).failed("connection_refused");
    expect(stand.describe()).toEqual([`${a} trial`]);
    trial.connected();
    expect(stand.describe()).toEqual([`${a} healthy`]);
  });

  test("are out of use when an operator has disabled them, also where they stand alone", () => {
    const stand = new PacStand();
    const a = "http://a:1";
    stand.name(a);
    const pool = stand.pools.findProxy("corp", a);
    expect(pool?.disable("a:1", true)).toBe(true);
    expect(choose(stand, a)).toBe("unhealthy");
    expect(choose(stand, `${a},http://b:1`)).toBe("corp/http://b:1");
    expect(stand.pools.findProxy("corp", `${a},http://b:1`)).toBeUndefined();
  });

  test("keep their health across snapshots, by their URL, as long as the upstream has a PAC file", () => {
    const stand = new PacStand();
    const a = "http://a:1";
    take(stand.name(`${a},direct`)).failed("connection_refused");
    stand.pools.findProxy("corp", a)?.disable("a:1", true);
    stand.reload();
    expect(stand.describe()).toEqual([`${a} disabled`]);
    expect(choose(stand, `http://b:1,${a}`)).toBe("corp/http://b:1");
    expect(choose(stand, a)).toBe("unhealthy");
    // Another kind of proxy, and another port, is another proxy.
    for (const other of ["https://a:1", "http://a:2"]) expect(choose(stand, other)).toBe(`corp/${other}`);
    stand.pools.use(new Map());
    expect(stand.describe()).toEqual([]);
  });
});

describe("many distinct proxies", () => {
  test("leave what is in use, what is disabled and what came last; what is idle for longest is forgotten", () => {
    const stand = new PacStand();
    const disabled = stand.name("http://disabled:1");
    disabled.disable("disabled:1", true);
    const used = take(stand.name("http://used:1"));
    used.connected();
    take(stand.name("http://idle:1")).abandoned();
    for (let at = 0; at < 10_000; at += 1) {
      stand.now += 1;
      stand.name(`http://h${at}:1`);
    }
    const names = new Set(stand.describe());
    expect(names.size).toBeLessThanOrEqual(1280);
    expect(names.size).toBeGreaterThan(1000);
    for (const kept of ["disabled:1 disabled", "used:1 healthy", "h9999:1 healthy", "h9200:1 healthy"])
      expect(names).toContain(`http://${kept}`);
    for (const gone of ["idle:1", "h0:1", "h8000:1"]) expect(names).not.toContain(`http://${gone} healthy`);
    // It was in use all the time.
    expect(stand.name("http://used:1").members[0]).toBe(used.member);
  });

  test("in answers of sixteen leave no combination behind whose proxies are forgotten", () => {
    const stand = new PacStand();
    const answer = (at: number): string => Array.from({ length: 16 }, (_, one) => `http://h${at}-${one}:1`).join(",");
    const early = stand.ways.find(
      [parseChoice("http://early:1"), parseChoice("direct")].filter((one) => one !== undefined),
    );
    expect(early.way).toBeDefined();
    for (let at = 0; at < 500; at += 1) stand.name(answer(at));
    expect(early.way).toBeUndefined();
    expect(stand.describe().length).toBeLessThanOrEqual(1280);
    expect(choose(stand, answer(499))).toBe("corp/http://h499-0:1");
  });
});
