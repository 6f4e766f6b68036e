import { describe, expect, test } from "bun:test";
import { createAuthenticator } from "../../../../src/proxy/auth/authenticate.ts";
import { CredentialChecks } from "../../../../src/proxy/auth/credential-checks.ts";
import { identify, type Presented } from "../../../../src/proxy/auth/identify.ts";
import { createUserStore } from "../../../../src/proxy/auth/user-store.ts";
import { Secret } from "../../../../src/secret.ts";
import { FakeConn } from "../../../support/fake-conn.ts";
import { makeIp } from "../../../support/make-policy.ts";

const certificate = { user: "carol-session-x", findFault: () => undefined };
const services = { checks: new CredentialChecks(), reportHook: () => {} };

/** Who a client with that certificate is, whose user name may have a session. */
function identifyCertified(presented: Presented) {
  const users = createUserStore([{ name: "alice", password: new Secret("pw") }]);
  if (!users.ok) throw new Error("The user is fine");
  const authenticator = createAuthenticator({ users: users.store, parameters: ["session"] });
  const runtime = { authenticator, limits: { clientPrefix: { v4: 32, v6: 64 } } };
  return identify({ client: makeIp("192.0.2.1"), certificate, runtime }, new FakeConn(), presented, services);
}

describe("identify() with a client certificate", () => {
  test("takes the name in it as it is, without parameters", () => {
    expect(identifyCertified({ kind: "nothing" })).toEqual({ ok: true, value: "carol-session-x" });
  });

  test("takes user and parameters of a password that is shown beside it", () => {
    const shown = { kind: "password", user: "alice-session-a1", password: new Secret("pw") } as const;
    expect(identifyCertified(shown)).toMatchObject({ ok: true, value: "alice", parameters: { session: "a1" } });
  });

  test("records whom a wrong password claims to be, cut and without its parameters", () => {
    const claim = (user: string) => identifyCertified({ kind: "password", user, password: new Secret("no") });
    expect(claim("alice-session-a1")).toMatchObject({ claimed: "alice", parameters: { session: "a1" } });
    expect(claim(`${"x".repeat(300)}-session-a1`)).toMatchObject({ claimed: `${"x".repeat(127)}…` });
  });
});
