import { expect, test } from "bun:test";

import { runCli } from "../../../src/cli/run-cli.ts";
import { createFakeIo } from "../../support/fake-io.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

test("penstock explain reads the parameters of a user name, and says who the client is for an upstream", async () => {
  const sessions = JSON.stringify({
    users: [{ name: "alice", password: "x" }],
    auth: { parameters: ["session", "country"] },
    upstreams: {
      exits: { url: "socks5h://10.0.0.7", username: "c-{user}-sid-{session}[-cc-{country}]", password: "p" },
    },
    rules: [{ name: "germans", parameters: { country: ["de"] }, via: "exits" }],
    default: "exits",
  });
  await using folder = await makeFolder({ "proxy.config.json": sessions });
  const ask = async (user: string) => {
    const io = createFakeIo({ folder: folder.path });
    expect(await runCli(["explain", "example.org", "--user", user], io)).toBe(user.includes("DE") ? 0 : 1);
    return io.printed().trimEnd().split("\n").slice(1);
  };
  expect(await ask("alice-session-a1-country-DE")).toEqual([
    "client:  127.0.0.1 as alice, session=a1, country=DE",
    "rule:    germans",
    "route:   exits (socks5h://10.0.0.7:1080 as c-alice-sid-a1-cc-DE)",
    "address: left to the upstream to resolve",
    "verdict: allowed",
    "rules:   1. yes: germans (via exits): decides",
    "         default (via exits): not reached",
  ]);
  expect(await ask("alice-country-at")).toEqual([
    "client:  127.0.0.1 as alice, country=at",
    "rule:    default",
    "verdict: refused with 403",
    "reason:  http_request_denied; parameters_unfit (the user name for it needs the parameter session)",
    "meaning: The parameters in the user name are not those that the upstream exits needs.",
    "rules:   1. no: germans (via exits): the parameter country is at, not de",
    "         default (via exits): decides",
  ]);
  expect((await ask("alice-session-")).slice(1)).toEqual([
    "verdict: refused with 407",
    "reason:  http_request_denied; parameters_malformed (the parameter session is empty)",
    "meaning: The parameters in the user name cannot be read.",
  ]);
});

test("penstock explain exits with 78 when there is nothing to explain with", async () => {
  await using folder = await makeFolder({ "proxy.config.json": "{" });
  expect(await runCli(["explain", "example.org"], createFakeIo({ folder: folder.path }))).toBe(78);
});

test("penstock explain knows the proxy itself", async () => {
  await using folder = await makeFolder({ "proxy.config.json": { listen: ["127.0.0.1:8080"] } });
  const io = createFakeIo({ folder: folder.path });
  expect(await runCli(["explain", "127.0.0.1:8080"], io)).toBe(1);
  expect(io.printed().split("\n")).toContain("verdict: refused with 508");
});

test("explain takes the user once", async () => {
  const io = createFakeIo();
  expect(await runCli(["explain", "example.org", "--as", "ci", "--user", "ann"], io)).toBe(2);
  expect(io.told).toEqual(["Found --user and --as, which mean the same. Leave one of them out."]);
});
