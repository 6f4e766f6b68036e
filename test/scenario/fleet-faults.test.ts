import { describe, expect } from "bun:test";
import { chmod } from "node:fs/promises";
import { FleetReporter } from "../../src/state/redis/fleet-reporter.ts";
import { Secret } from "../../src/secret.ts";
import { makeAuthority } from "../support/certificate-authority.ts";
import { type FleetStand, type FleetStandOptions, openFleet } from "../support/fleet-stand.ts";
import { needs } from "../support/needs.ts";
import { openRedis, type RedisServer } from "../support/redis-server.ts";
import { openSlowRelay } from "../support/slow-relay.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { reserveClosedPort } from "../support/unreachable.ts";
import { waitFor } from "../support/wait-for.ts";

const test = needs("redis-server");

/** What the log says of everything that happened, in order. */
function listTold({ reports }: FleetStand): string[] {
  const told: string[] = [];
  const reporter = new FleetReporter("redis.example:6379", (line) => told.push(line));
  for (const change of reports) reporter.report(change);
  return told;
}

const server = 'Redis at redis.example:6379 ("state.redis")';
const goesOn = "This proxy goes on with its share of the limits and the last known use.";

/** What the log says first of a server that cannot be used. */
async function untilLost(options: FleetStandOptions): Promise<string> {
  await using member = openFleet(options);
  await waitFor(() => member.reports.length > 0, "a report");
  expect(member.counts.take("user:ci")).toBe(true);
  return listTold(member)[0] ?? "";
}

describe("a server that cannot be used says why", () => {
  test("nobody listens", async () => {
    const port = await reserveClosedPort();
    expect(await untilLost({ port, id: "one" })).toBe(`${server} refuses connections. ${goesOn}`);
  });

  test("the password is wrong, or missing, and is in no message", async () => {
    await using redis = await openRedis(["--requirepass", "right"]);
    const wrong = { port: redis.port, id: "one", password: new Secret("geheim") };
    expect(await untilLost(wrong)).toBe(
      `${server} refuses the user of "state.redis" or the password of "state.password". ${goesOn}`,
    );
    expect(await untilLost({ port: redis.port, id: "one" })).toBe(
      `${server} wants a password. Set "state.password". ${goesOn}`,
    );
  });

  test("a user and a password with any characters are understood", async () => {
    const password = "p@/:?#%ü&=+";
    await using redis = await openRedis(["--user", "edge:ü", "on", ">" + password, "~*", "+@all"]);
    await using member = openFleet({
      port: redis.port,
      id: "one",
      host: "localhost",
      user: "edge:ü",
      password: new Secret(password),
    });
    await waitFor(() => member.fleet.wasHeard, "an answer");
  });

  test("the database does not exist", async () => {
    await using redis = await openRedis(["--databases", "4"]);
    expect(await untilLost({ port: redis.port, id: "one", database: 4 })).toBe(
      `${server} does not have the database that "state.redis" names after its port. ${goesOn}`,
    );
  });

  test("it is a replica", async () => {
    await using primary = await openRedis();
    await using replica = await openRedis(["--replicaof", `127.0.0.1 ${primary.port}`]);
    expect(await untilLost({ port: replica.port, id: "one" })).toBe(
      `${server} is a replica that cannot be written to. Set "state.redis" to its primary. ${goesOn}`,
    );
  });

  test("it does not permit scripts", async () => {
    await using redis = await openRedis(["--user", "edge", "on", ">pw", "~*", "+@all", "-@scripting"]);
    const login = { port: redis.port, id: "one", user: "edge", password: new Secret("pw") };
    expect(await untilLost(login)).toStartWith(`${server} does not permit what is needed (NOPERM`);
  });

  test("the rights that docs/limits.md names are enough", async () => {
    const text = await Bun.file("docs/limits.md").text();
    const rights = /ACL SETUSER penstock on >PASSWORD ([^`]+)`/.exec(text)?.[1]?.split(" ") ?? [];
    expect(rights.length).toBeGreaterThan(20);
    await using redis = await openRedis(["--user", "edge", "on", ">pw", ...rights]);
    const login = { port: redis.port, user: "edge", password: new Secret("pw") };
    await using one = openFleet({ ...login, id: "one" });
    await using two = openFleet({ ...login, id: "two" });
    await waitFor(() => one.fleet.proxies === 2, "the members to meet");
    one.counts.take("user:ci");
    one.rates.take("user:ci");
    one.bytes.add("ci", 5);
    one.sessions.bound({ pool: "exit", key: "ci", member: "a", forMs: 1000 });
    await waitFor(() => two.bytes.total("ci") === 5 && two.followed.length > 0, "the use of the other");
    one.counts.give("user:ci");
    await one.fleet.stop();
    await waitFor(() => two.fleet.proxies === 1, "the other to be gone");
    expect([...one.reports, ...two.reports]).toEqual([]);
  });

  test("it is part of a cluster", async () => {
    await using redis = await openRedis(["--cluster-enabled", "yes"]);
    expect(await untilLost({ port: redis.port, id: "one" })).toBe(
      `${server} is part of a Redis Cluster. Set "state.redis" to a single server. ${goesOn}`,
    );
  });

  test("something else listens, or another protocol", async () => {
    using other = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (socket) => void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n") },
    });
    expect(await untilLost({ port: other.port, id: "one" })).toBe(`${server} does not answer as Redis does. ${goesOn}`);
    await using redis = await openRedis();
    expect(await untilLost({ port: redis.port, id: "one", tls: { ca: undefined }, connectMs: 500 })).toContain("TLS");
  });

  test("its certificate is not trusted, and with the right authority it is used", async () => {
    await using authority = await makeAuthority();
    const leaf = await authority.issue({ names: ["IP:127.0.0.1", "DNS:localhost"] });
    await using folder = await makeFolder({ "s.pem": leaf.cert, "s.key": leaf.key, "ca.pem": authority.cert });
    await chmod(`${folder.path}/s.key`, 0o600);
    const files = { certFile: "s.pem", keyFile: "s.key", caFile: "ca.pem" };
    const tls = Object.fromEntries(Object.entries(files).map(([name, file]) => [name, `${folder.path}/${file}`]));
    await using redis = await openRedis([], tls as unknown as typeof files);
    const { port } = redis;
    expect(await untilLost({ port, id: "one", host: "localhost", tls: { ca: undefined } })).toMatch(
      /has a certificate that is not accepted \([A-Z_]+\)\. Set "state\.ca" to the file of its authority\./,
    );
    expect(await untilLost({ port, id: "one" })).toContain('write "rediss://"');
    await using member = openFleet({ port, id: "two", host: "localhost", tls: { ca: [authority.cert] } });
    await waitFor(() => member.fleet.wasHeard, "an answer over TLS");
  });
});

describe("a server that fails while it is used", () => {
  const quick = { connectMs: 300, commandMs: 300, timing: { silenceMs: 1000, everyMs: 20, restMs: 50 } };

  /** Two members that know of each other, with connections open at both. */
  async function openPair(redis: Pick<RedisServer, "port">, options: Partial<FleetStandOptions> = quick) {
    const one = openFleet({ ...options, port: redis.port, id: "one" });
    const two = openFleet({ ...options, port: redis.port, id: "two" });
    await waitFor(() => one.fleet.proxies === 2 && two.fleet.proxies === 2, "the members to meet");
    for (const member of [one, two]) {
      for (let count = 0; count < 3; count += 1) expect(member.counts.take("user:ci")).toBe(true);
      member.bytes.add("ci", 1000);
    }
    await waitFor(() => one.bytes.total("ci") === 2000 && two.bytes.total("ci") === 2000, "the sum");
    await waitFor(() => one.counts.room("user:ci") + two.counts.room("user:ci") === 10, "the leases");
    return {
      one,
      two,
      async [Symbol.asyncDispose]() {
        await one.fleet.stop();
        await two.fleet.stop();
      },
    };
  }

  /** Everything that a key may still have is taken. */
  function takeAll({ counts }: FleetStand): number {
    let taken = 0;
    while (counts.take("user:ci")) taken += 1;
    return taken;
  }

  test("paused: nobody waits, leases hold the limit, and everything is told afterwards", async () => {
    await using redis = await openRedis();
    await using pair = await openPair(redis);
    const { one, two } = pair;
    redis.signal("SIGSTOP");
    expect(takeAll(one) + takeAll(two)).toBe(4);
    one.bytes.add("ci", 5);
    await waitFor(() => one.fleet.fault?.kind === "slow" || one.fleet.fault?.kind === "unreachable", "the deadline");
    expect(one.bytes.total("ci")).toBe(2005);
    redis.signal("SIGCONT");
    await waitFor(() => two.bytes.total("ci") === 2005 && one.fleet.fault === undefined, "the use that was not told");
    expect(await redis.run("HGET", "penstock:connections:user:ci", "one")).toStartWith(
      `${one.counts.read("user:ci").held} `,
    );
    const told = listTold(one);
    expect(told[0]).toBe(`${server} did not answer within 0.3 s. ${goesOn}`);
    expect(told.at(-1)).toMatch(
      /can be used again, after [\d.]+ s\. (2 proxies share|No other proxy shares) the limits\.$/,
    );
  });

  test("gone for longer than proxies may be silent: each has its even share", async () => {
    await using redis = await openRedis();
    await using pair = await openPair(redis);
    const { one, two } = pair;
    await redis.kill();
    await waitFor(() => one.counts.room("user:ci") === 5 && two.counts.room("user:ci") === 5, "the even share");
    expect(takeAll(one) + takeAll(two)).toBe(4);
    await redis.restart();
    await waitFor(() => one.fleet.proxies === 2 && one.fleet.fault === undefined, "the fleet to be together");
    await waitFor(
      async () => (await redis.run("HGET", "penstock:connections:user:ci", "two")).startsWith("5 "),
      "connections to be told again",
    );
    expect(listTold(one)[0]).toMatch(/(closed the connection|refuses connections)/);
  });

  test("full: it says so, and recovers when there is room", async () => {
    await using redis = await openRedis(["--maxmemory-policy", "noeviction"]);
    await using pair = await openPair(redis);
    const { one, two } = pair;
    await redis.run("CONFIG", "SET", "maxmemory", "1");
    await waitFor(() => one.fleet.fault?.kind === "full", "Redis to be full");
    one.bytes.add("ci", 7);
    expect(one.bytes.total("ci")).toBe(2007);
    expect(listTold(one)[0]).toBe(`${server} is full: its "maxmemory" is reached. ${goesOn}`);
    await redis.run("CONFIG", "SET", "maxmemory", "0");
    await waitFor(() => two.bytes.total("ci") === 2007, "the use that was not told");
  });

  test("500 ms of delay: nobody waits, and exchanges go on", async () => {
    await using redis = await openRedis();
    await using relay = await openSlowRelay(redis.port, 250);
    await using pair = await openPair(relay, { timing: { everyMs: 20 } });
    const { one, two } = pair;
    one.bytes.add("ci", 5);
    await waitFor(() => two.bytes.total("ci") === 2005, "the use of the other");
    expect(takeAll(one) + takeAll(two)).toBe(4);
    expect([...one.reports, ...two.reports]).toEqual([]);
  });

  test("its scripts are forgotten: they are sent again", async () => {
    await using redis = await openRedis();
    await using pair = await openPair(redis);
    const { one, two } = pair;
    await redis.run("SCRIPT", "FLUSH");
    one.bytes.add("ci", 5);
    await waitFor(() => two.bytes.total("ci") === 2005, "the use of the other");
    expect(one.reports).toEqual([]);
  });

  test("a key of another program: it is named, and everything else is shared", async () => {
    await using redis = await openRedis();
    await redis.run("SET", "penstock:connections:user:other", "text");
    await using pair = await openPair(redis);
    const { one, two } = pair;
    one.counts.take("user:other");
    await waitFor(() => one.reports.length > 0, "a report");
    expect(listTold(one)[0]).toBe(
      `${server} has keys of another program under the prefix of "state.prefix". Choose another prefix. The key "penstock:connections:user:other" is not shared.`,
    );
    one.bytes.add("ci", 5);
    await waitFor(() => two.bytes.total("ci") === 2005, "the use of the other");
    expect(await redis.run("GET", "penstock:connections:user:other")).toBe("text");
  });

  test("all of its data are flushed: what is in use is told again", async () => {
    await using redis = await openRedis();
    await using pair = await openPair(redis);
    const { one, two } = pair;
    await redis.run("FLUSHALL");
    await waitFor(
      async () => (await redis.run("HGET", "penstock:use:day:2026-11-28", "ci")) === "2000",
      "use to be told again",
    );
    expect(one.bytes.total("ci")).toBe(2000);
    expect(two.bytes.total("ci")).toBe(2000);
  });
});
