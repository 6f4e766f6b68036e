import { describe, expect, test } from "bun:test";
import {
  answerDigestChallenge,
  chooseDigestChallenge,
  computeDigestResponse,
  computeHa1,
  type DigestAlgorithm,
  formatDigestChallenge,
  parseDigestCredentials,
} from "../../../../src/protocol/http1/digest.ts";
import { Secret } from "../../../../src/secret.ts";

// RFC 7616 §3.9.1.
const NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
const CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
const OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS";
const REALM = "http-auth@example.org";
const RESPONSES = {
  MD5: "8ca523f5e9506fed4657c9700eebdbec",
  "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
} as const;
const ALGORITHMS: DigestAlgorithm[] = ["MD5", "SHA-256"];

function exampleCredentials(algorithm: DigestAlgorithm): string {
  return (
    `Digest username="Mufasa", realm="${REALM}", uri="/dir/index.html", algorithm=${algorithm}, nonce="${NONCE}", ` +
    `nc=00000001, cnonce="${CNONCE}", qop=auth, response="${RESPONSES[algorithm]}", opaque="${OPAQUE}"`
  );
}

const answer = {
  user: "Mufasa",
  password: new Secret("Circle of Life"),
  method: "GET",
  uri: "/dir/index.html",
  counted: { cnonce: CNONCE, nonceCount: 1 },
};

describe("computeDigestResponse()", () => {
  test("gives the responses of RFC 7616 §3.9.1", () => {
    for (const algorithm of ALGORITHMS) {
      const ha1 = computeHa1(algorithm, "Mufasa", REALM, new Secret("Circle of Life"));
      const { method, uri, counted } = answer;
      expect(computeDigestResponse({ algorithm, ha1, nonce: NONCE, method, uri, counted })).toBe(RESPONSES[algorithm]);
    }
  });

  test("gives the response of RFC 2069 to servers that know no qop", () => {
    // RFC 2617 §3.5 without qop: H(H(A1):nonce:H(A2)).
    const ha1 = computeHa1("MD5", "Mufasa", "testrealm@host.com", new Secret("Circle Of Life"));
    const nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
    const input = { algorithm: "MD5", ha1, nonce, method: "GET", uri: "/dir/index.html" } as const;
    expect(computeDigestResponse(input)).toBe("670fd8c2df070c60b045671b8b24ff02");
    const counted = { cnonce: "0a4f113b", nonceCount: 1 };
    expect(computeDigestResponse({ ...input, counted })).toBe("6629fae49393a05397450978507c4ef1");
  });
});

describe("parseDigestCredentials()", () => {
  /** The credentials, or the code. */
  function parse(value: string) {
    const result = parseDigestCredentials(value);
    return result.ok ? result.credentials : result.code;
  }

  test("reads the credentials of RFC 7616 §3.9.1", () => {
    for (const algorithm of ALGORITHMS) {
      expect(parse(exampleCredentials(algorithm))).toEqual({
        user: "Mufasa",
        realm: REALM,
        algorithm,
        nonce: NONCE,
        uri: "/dir/index.html",
        counted: { cnonce: CNONCE, nonceCount: 1 },
        response: RESPONSES[algorithm],
      });
    }
  });

  test("takes MD5 for granted when no algorithm is named", () => {
    expect(parse(exampleCredentials("MD5").replace("algorithm=MD5, ", ""))).toMatchObject({ algorithm: "MD5" });
  });

  test("reads user names beyond ASCII, in quotes and extended", () => {
    const example = exampleCredentials("MD5");
    const quoted = Buffer.from("Jäsøn Doe").toString("latin1");
    expect(parse(example.replace("Mufasa", quoted))).toMatchObject({ user: "Jäsøn Doe" });
    const extended = example.replace('username="Mufasa"', "username*=UTF-8''J%C3%A4s%C3%B8n%20Doe");
    expect(parse(extended)).toMatchObject({ user: "Jäsøn Doe" });
    expect(parse(example.replace("Mufasa", 'a\\"b'))).toMatchObject({ user: 'a"b' });
  });

  test("leaves other schemes to others", () => {
    for (const value of ["", "Basic YTpi", "Digester a=b", "Bearer x"]) expect(parse(value)).toBe("other_scheme");
  });

  test("refuses what is missing, repeated, or not as it should be", () => {
    const example = exampleCredentials("MD5");
    const changes: [string, string][] = [
      ['username="Mufasa", ', ""],
      [`realm="${REALM}", `, ""],
      ['uri="/dir/index.html", ', ""],
      [`nonce="${NONCE}", `, ""],
      [`nonce="${NONCE}"`, 'nonce=""'],
      [`nonce="${NONCE}"`, `nonce="${"n".repeat(513)}"`],
      ["nc=00000001, ", ""],
      ["nc=00000001", "nc=1"],
      ["nc=00000001", "nc=0000000g"],
      ["nc=00000001", "nc=0000000A"],
      [`cnonce="${CNONCE}", `, ""],
      ["qop=auth, ", ""],
      ["qop=auth", "qop=auth-int"],
      [`response="${RESPONSES.MD5}"`, `response="${RESPONSES.MD5.toUpperCase()}"`],
      [`response="${RESPONSES.MD5}"`, `response="${RESPONSES["SHA-256"]}"`],
      ["algorithm=MD5", "algorithm=MD5-sess"],
      ["algorithm=MD5", "algorithm=SHA-512-256"],
      ["qop=auth", "qop=auth, qop=auth"],
      ["qop=auth", "qop=auth, userhash=true"],
      ["qop=auth", "qop=auth, username*=UTF-8''a"],
      ['username="Mufasa"', "username*=ISO-8859-1''a"],
      ['username="Mufasa"', "username*=UTF-8''a%"],
      ['username="Mufasa"', "username*=UTF-8''%FC"],
      ['username="Mufasa"', 'username="\xfc"'],
      [`opaque="${OPAQUE}"`, 'opaque="'],
      [`opaque="${OPAQUE}"`, `opaque="${OPAQUE}", Basic YTpi`],
    ];
    for (const [from, to] of changes) {
      expect(example).toContain(from);
      expect([to, parse(example.replace(from, to))]).toEqual([to, "malformed"]);
    }
    expect(parse("Digest")).toBe("malformed");
  });
});

describe("formatDigestChallenge()", () => {
  test("offers qop=auth and UTF-8, and says when a nonce was stale", () => {
    const challenge = { realm: "a b", nonce: "n", algorithm: "SHA-256", stale: false } as const;
    const text = 'Digest realm="a b", qop="auth", algorithm=SHA-256, nonce="n", charset=UTF-8';
    expect(formatDigestChallenge(challenge)).toBe(text);
    expect(formatDigestChallenge({ ...challenge, stale: true })).toBe(`${text}, stale=true`);
  });
});

describe("chooseDigestChallenge()", () => {
  test("chooses SHA-256 before MD5, across fields and within one", () => {
    const md5 = 'Digest realm="r", nonce="m", algorithm=MD5, qop="auth"';
    const sha = 'Digest realm="r", nonce="s", algorithm=SHA-256, qop="auth"';
    expect(chooseDigestChallenge([md5, sha])).toMatchObject({ nonce: "s" });
    expect(chooseDigestChallenge([`Basic realm="x", ${md5}, ${sha}`])).toMatchObject({ nonce: "s" });
    expect(chooseDigestChallenge([md5])).toMatchObject({ nonce: "m" });
  });

  test("reads every parameter", () => {
    const value =
      'Digest realm="r", nonce="n", opaque="o", algorithm=MD5-sess, qop="auth-int, auth", stale=TRUE, charset=utf-8';
    expect(chooseDigestChallenge([value])).toEqual({
      realm: "r",
      nonce: "n",
      opaque: "o",
      algorithm: "MD5",
      session: true,
      stale: true,
      qop: true,
      utf8: true,
    });
    expect(chooseDigestChallenge(['Digest realm="r", nonce="n"'])).toEqual({
      realm: "r",
      nonce: "n",
      opaque: undefined,
      algorithm: "MD5",
      session: false,
      stale: false,
      qop: false,
      utf8: false,
    });
  });

  test("passes over what it cannot answer", () => {
    for (const value of [
      'Basic realm="r"',
      'Digest realm="r"',
      'Digest nonce="n"',
      'Digest realm="r", nonce=""',
      'Digest realm="r", nonce="n", qop="auth-int"',
      'Digest realm="r", nonce="n", algorithm=SHA-512-256',
      'Digest realm="r", nonce="n',
    ]) {
      expect(chooseDigestChallenge([value])).toBeUndefined();
      expect(chooseDigestChallenge([value, 'Digest realm="r", nonce="good"'])).toMatchObject({ nonce: "good" });
    }
  });
});

describe("answerDigestChallenge()", () => {
  function choose(value: string) {
    const challenge = chooseDigestChallenge([value]);
    if (!challenge) throw new Error(value);
    return challenge;
  }

  test("answers as RFC 7616 §3.9.1 does", () => {
    for (const algorithm of ALGORITHMS) {
      const value = `Digest realm="${REALM}", qop="auth, auth-int", algorithm=${algorithm}, nonce="${NONCE}", opaque="${OPAQUE}"`;
      const result = answerDigestChallenge(choose(value), answer);
      expect(result).toContain(`response="${RESPONSES[algorithm]}"`);
      expect(result).toContain(`opaque="${OPAQUE}"`);
      expect(parseDigestCredentials(result ?? "")).toEqual(parseDigestCredentials(exampleCredentials(algorithm)));
    }
  });

  test("leaves the count out for servers that know no qop", () => {
    const value = answerDigestChallenge(choose('Digest realm="r", nonce="n"'), answer);
    expect(value).not.toMatch(/qop|nc=|cnonce/);
  });

  test("mixes both nonces into the secret part for -sess", () => {
    const value = answerDigestChallenge(choose('Digest realm="r", nonce="n", algorithm=MD5-sess, qop="auth"'), answer);
    const md5 = (text: string) => new Bun.CryptoHasher("md5").update(text).digest("hex");
    const ha1 = md5(`${md5("Mufasa:r:Circle of Life")}:n:${CNONCE}`);
    const response = md5(`${ha1}:n:00000001:${CNONCE}:auth:${md5("GET:/dir/index.html")}`);
    expect(value).toContain(`response="${response}"`);
    expect(value).toContain("algorithm=MD5-sess");
  });

  test("sends a user name beyond ASCII extended where UTF-8 was announced, and as octets elsewhere", () => {
    const user = { ...answer, user: "Jäsøn (D)" };
    const extended = answerDigestChallenge(choose('Digest realm="r", nonce="n", qop="auth", charset=UTF-8'), user);
    expect(extended).toContain("username*=UTF-8''J%C3%A4s%C3%B8n%20%28D%29, ");
    const octets = answerDigestChallenge(choose('Digest realm="r", nonce="n", qop="auth"'), user);
    expect(octets).toContain(`username="${Buffer.from("Jäsøn (D)").toString("latin1")}", `);
    for (const value of [extended, octets]) {
      expect(parseDigestCredentials(value ?? "")).toMatchObject({ credentials: { user: "Jäsøn (D)" } });
    }
  });

  test("escapes quotes in what it quotes", () => {
    const value = answerDigestChallenge(choose('Digest realm="a\\"b", nonce="n", qop="auth"'), {
      ...answer,
      user: 'a"b\\',
    });
    expect(value).toStartWith('Digest username="a\\"b\\\\", realm="a\\"b", nonce="n", ');
  });

  test("has no answer for a user or a password that no field can carry", () => {
    const challenge = choose('Digest realm="r", nonce="n", qop="auth"');
    expect(answerDigestChallenge(challenge, { ...answer, user: "a:b" })).toBeUndefined();
    expect(answerDigestChallenge(challenge, { ...answer, user: "a\r\n" })).toBeUndefined();
    expect(answerDigestChallenge(challenge, { ...answer, password: new Secret("\0") })).toBeUndefined();
  });
});
