import { beforeEach, describe, expect, test } from "bun:test";
import { parseDigestCredentials } from "../../../../src/protocol/http1/digest.ts";
import { UpstreamLogin } from "../../../../src/proxy/upstream/upstream-login.ts";
import { Upstreams } from "../../../../src/proxy/upstream/upstreams.ts";
import type { Hop } from "../../../../src/proxy/route/hop.ts";
import { loginAt, makeHop } from "../../../support/dial-stand.ts";

const BASIC = 'Basic realm="r"';
const digest = (nonce: string, stale = false): string =>
  `Digest realm="r", nonce="${nonce}", qop="auth", algorithm=SHA-256${stale ? ", stale=true" : ""}`;

/** A new hop for the upstream of the test. */
function makeUpstream(more: Partial<Hop> & { user?: string } = {}): Hop {
  return makeHop("http", 3128, { user: "edge", password: "pw", ...more });
}

let upstreams = new Upstreams();
beforeEach(() => {
  upstreams = new Upstreams();
});

function logIn(hop: Hop): UpstreamLogin {
  return new UpstreamLogin(hop, upstreams.find(hop), loginAt(hop));
}

/** What is shown: the scheme, and for Digest nonce and count. */
function shownBy(login: UpstreamLogin): unknown {
  const shown = login.authorize("CONNECT", "target.example:443");
  if (!shown.ok) return shown.note;
  const { value = "nothing" } = shown;
  const parsed = parseDigestCredentials(value);
  if (!parsed.ok) return value.split(" ")[0];
  const { nonce, counted, uri } = parsed.credentials;
  expect(uri).toBe("target.example:443");
  return [nonce, counted.nonceCount];
}

describe("UpstreamLogin", () => {
  test("shows Basic unasked, and gives up when that is refused", () => {
    const login = logIn(makeUpstream());
    expect(shownBy(login)).toBe("Basic");
    expect(login.refuse([BASIC, digest("n")])).toEqual({ retry: false });
  });

  test("shows nothing when there is nothing to show", () => {
    const login = logIn(makeHop("http", 3128));
    expect(shownBy(login)).toBe("nothing");
    expect(login.refuse([digest("n")])).toEqual({ retry: false });
  });

  test("answers in Digest when that is all that is asked for, and remembers it for the next request", () => {
    const hop = makeUpstream();
    const first = logIn(hop);
    expect(shownBy(first)).toBe("Basic");
    expect(first.refuse([digest("n1")])).toEqual({ retry: true });
    expect(shownBy(first)).toEqual(["n1", 1]);
    expect(shownBy(logIn(hop))).toEqual(["n1", 2]);
  });

  test("gives up when the answer is wrong", () => {
    const login = logIn(makeUpstream());
    shownBy(login);
    login.refuse([digest("n1")]);
    shownBy(login);
    expect(login.refuse([digest("n2")])).toEqual({ retry: false });
  });

  test("answers anew when only the nonce was too old", () => {
    const hop = makeUpstream();
    const first = logIn(hop);
    shownBy(first);
    first.refuse([digest("n1")]);
    shownBy(first);
    const second = logIn(hop);
    expect(shownBy(second)).toEqual(["n1", 2]);
    expect(second.refuse([digest("n2", true)])).toEqual({ retry: true });
    expect(shownBy(second)).toEqual(["n2", 1]);
  });

  test("goes back to Basic, once, when Digest is not asked for any more", () => {
    const hop = makeUpstream();
    const first = logIn(hop);
    shownBy(first);
    first.refuse([digest("n1")]);
    const second = logIn(hop);
    shownBy(second);
    expect(second.refuse([BASIC])).toEqual({ retry: true });
    expect(shownBy(second)).toBe("Basic");
    expect(second.refuse([BASIC])).toEqual({ retry: false });
    expect(shownBy(logIn(hop))).toBe("Basic");
  });

  test("never shows Basic where only Digest is wanted", () => {
    const hop = makeUpstream({ auth: "digest" });
    const login = logIn(hop);
    expect(shownBy(login)).toBe("nothing");
    expect(login.refuse([BASIC])).toEqual({ retry: false, note: "it asks for basic" });
    const second = logIn(hop);
    expect(shownBy(second)).toBe("nothing");
    expect(second.refuse([BASIC, digest("n1")])).toEqual({ retry: true });
    expect(shownBy(second)).toEqual(["n1", 1]);
    expect(shownBy(logIn(hop))).toEqual(["n1", 2]);
  });

  test("never answers in Digest where only Basic is wanted", () => {
    const login = logIn(makeUpstream({ auth: "basic" }));
    expect(shownBy(login)).toBe("Basic");
    expect(login.refuse([digest("n1")])).toEqual({ retry: false });
  });

  test("says what is asked for when none of it is spoken here", () => {
    const login = logIn(makeUpstream());
    shownBy(login);
    expect(login.refuse(["Negotiate", "NTLM", "Negotiate"])).toEqual({
      retry: false,
      note: "it asks for negotiate, ntlm",
    });
    const other = logIn(makeUpstream({ name: "other" }));
    shownBy(other);
    expect(other.refuse([])).toEqual({ retry: false });
  });

  test("says when the credentials have no form", () => {
    expect(shownBy(logIn(makeUpstream({ user: "a:b" })))).toBe("they have no Basic form");
    const login = logIn(makeUpstream({ name: "digest", user: "a:b", auth: "digest" }));
    shownBy(login);
    login.refuse([digest("n1")]);
    expect(shownBy(login)).toBe("they have no Digest form");
  });

  test("comes to an end whatever is asked", () => {
    const login = logIn(makeUpstream());
    let attempts = 0;
    for (let asked = 0; ; asked += 1) {
      attempts += 1;
      shownBy(login);
      const challenges = asked % 2 === 0 ? [digest(`n${asked}`, true)] : [BASIC];
      if (!login.refuse(challenges).retry) break;
      expect(attempts).toBeLessThan(10);
    }
    expect(attempts).toBeLessThan(6);
  });
});
