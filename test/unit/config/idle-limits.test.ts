import { describe, expect, test } from "bun:test";
import { formatProblem } from "../../../src/config/problem.ts";
import { compileForTest } from "../../support/compile-for-test.ts";

const ci = { name: "ci", password: "secret-of-ci" };
const state = { folder: "/var/lib/penstock" };
const nobody =
  'limits.perUser: There are no users, so it limits nobody. Set "users", or limit each address with "perClient".';
const burst = 'burst: It changes nothing: there is no "rate" or "bandwidth" beside it.';
const onQuota = 'limits.onQuota: It changes nothing: there is no quota ("bytes").';

describe("limits that change nothing", () => {
  test.each<[name: string, config: object, warnings: string[]]>([
    ["a limit on users, without users", { limits: { perUser: { connections: 5 } } }, [nobody]],
    ["a quota without users", { limits: { perUser: { bytes: { day: "1GB" } } }, state }, [nobody]],
    ["a burst alone", { limits: { burst: "2s" } }, [`limits.${burst}`]],
    [
      "a burst of users, clients and targets alone",
      { users: [ci], limits: { perUser: { burst: "2s" }, perClient: { burst: "2s" }, perTarget: { burst: "2s" } } },
      [`limits.perUser.${burst}`, `limits.perClient.${burst}`, `limits.perTarget.${burst}`],
    ],
    ["an end at a quota that nobody has", { limits: { onQuota: "end" } }, [onQuota]],
  ])("are warned of: %s", (_name, config, warnings) => {
    expect(compileForTest(config).warnings.map(formatProblem)).toEqual(warnings);
  });

  test.each<[name: string, config: object]>([
    ["nothing is limited", {}],
    ["there are users", { users: [ci], limits: { perUser: { connections: 5, burst: "2s", rate: "5/s" } } }],
    [
      "exempt clients have a name",
      {
        auth: { exempt: [{ name: "lan", from: "10.0.0.0/8" }] },
        users: [ci],
        limits: { perUser: { connections: 5 } },
      },
    ],
    [
      "a burst is for the rate of one user",
      {
        users: [{ ...ci, limits: { rate: "5/s" } }],
        limits: { perUser: { burst: "2s" } },
      },
    ],
    [
      "one user has a quota",
      { users: [{ ...ci, limits: { bytes: { day: "1GB" } } }], limits: { onQuota: "end" }, state },
    ],
  ])("are not warned of where %s", (_name, config) => {
    expect(compileForTest(config).warnings).toEqual([]);
  });
});
