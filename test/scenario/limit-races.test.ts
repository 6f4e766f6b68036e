import { describe, expect, test } from "bun:test";
import { ask, ok, serveHttp } from "../support/http-origin.ts";
import { openGate } from "../support/open-gate.ts";
import { basic, waitFor } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { requireReactor } from "../support/require-reactor.ts";
import { createRandom } from "../support/seeded-random.ts";

const users = ["ann", "bob", "eve"].map((name) => ({ name, password: name }));
const limits = { perClient: { connections: 60 }, perUser: { connections: 6 }, perTarget: { connections: 5 } };

/** Fields of a user, now and then with a wrong password. */
function pickFields(random: ReturnType<typeof createRandom>): string {
  const { name } = users[random.below(users.length)] ?? { name: "ann" };
  const credentials = Object.entries(basic(name, random.below(6) === 0 ? "wrong" : name));
  return credentials.map(([field, value]) => `${field}: ${value}\r\n`).join("");
}

describe("counts of connections", () => {
  for (const seed of [1, 2, 3]) {
    test(`are exact while clients come, go and are refused at any time (seed ${seed})`, async () => {
      const random = createRandom(seed);
      using echo = listenEcho();
      using origin = serveHttp(({ head }) => (head.includes("/slow") ? undefined : ok("x")));
      await using one = openGate({ users, limits }, { reactor: requireReactor() });
      const { admission, requestLimits } = one.gate;
      const held = () =>
        [admission.clientCounts, admission.userCounts, requestLimits.targetCounts].map((counts) =>
          Array.from(counts.entries(), ({ holds }) => holds),
        );
      const play = async (): Promise<void> => {
        for (let round = 0; round < 12; round += 1) {
          using peer = await one.connect();
          const steps = 1 + random.below(4);
          for (let step = 0; step < steps && peer.end === "open"; step += 1) {
            const fields = pickFields(random);
            const port = random.below(8) === 0 ? 1 : echo.port;
            const isSlow = random.below(4) === 0;
            const before = peer.receivedBytes;
            if (random.below(3) === 0) peer.write(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
            else peer.write(ask("GET", origin.uri(isSlow ? "/slow" : "/"), fields));
            // Some go before they are answered, the others in the middle of something.
            if (random.below(4) > 0 && !isSlow)
              await waitFor(() => peer.receivedBytes > before || peer.end !== "open", "an answer");
            else {
              await Bun.sleep(random.below(20));
              break;
            }
          }
          const [clients = [], byUser = [], targets = []] = held();
          expect(Math.max(0, ...clients)).toBeLessThanOrEqual(limits.perClient.connections);
          expect(Math.max(0, ...byUser)).toBeLessThanOrEqual(limits.perUser.connections);
          expect(Math.max(0, ...targets)).toBeLessThanOrEqual(limits.perTarget.connections);
          if (random.below(2) === 0) peer.reset();
          else peer.finish();
        }
      };
      await Promise.all(Array.from({ length: 25 }, play));
      await waitFor(() => admission.connections === 0, "the end of all connections");
      expect(held()).toEqual([[], [], []]);
      for (const limit of ["perTarget.connections", "perUser.connections"])
        await waitFor(() => one.lines.some((line) => line["limit"] === limit), `a refusal by ${limit}`);
    });
  }
});
