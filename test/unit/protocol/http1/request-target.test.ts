import { describe, expect, test } from "bun:test";
import { parseRequestTarget, type RequestTarget } from "../../../../src/protocol/http1/request-target.ts";

function accepts(method: string, target: string, value: RequestTarget): void {
  expect(parseRequestTarget(method, target)).toEqual({ kind: "done", value, used: target.length });
}

function refuses(method: string, marked: string, code: string): void {
  const at = marked.indexOf("^");
  const target = marked.slice(0, at) + marked.slice(at + 1);
  expect(parseRequestTarget(method, target)).toEqual({ kind: "bad", code, at } as never);
}

describe("parseRequestTarget() of CONNECT", () => {
  test("takes the authority-form and leaves host and port as they are", () => {
    for (const authority of [
      "a.example:443",
      "192.0.2.1:1",
      "[2001:db8::1]:443",
      "a.example",
      "0x7f.1:80",
      "%41:1",
      ":443",
    ]) {
      accepts("CONNECT", authority, { form: "authority", authority });
    }
  });

  test("takes no other form", () => {
    refuses("CONNECT", "^/", "not_authority_form");
    refuses("CONNECT", "^*", "not_authority_form");
    refuses("CONNECT", "^http://a.example:443/", "not_authority_form");
    refuses("CONNECT", "^a.example:443/", "not_authority_form");
    refuses("CONNECT", "^a.example:443?b", "not_authority_form");
    refuses("CONNECT", "^a.example:443#b", "not_authority_form");
  });

  test("refuses userinfo and what no authority has", () => {
    refuses("CONNECT", "user^@a.example:443", "userinfo");
    refuses("CONNECT", "user:password^@a.example:443", "userinfo");
    refuses("CONNECT", "a.example^\\b:443", "bad_authority");
    refuses("CONNECT", "a.example^<b>:443", "bad_authority");
  });
});

describe("parseRequestTarget() of the absolute-form", () => {
  test("takes scheme, authority, path and query apart", () => {
    accepts("GET", "http://a.example/b?c=d", {
      form: "absolute",
      scheme: "http",
      authority: "a.example",
      pathAndQuery: "/b?c=d",
    });
    accepts("POST", "https://[2001:db8::1]:8443//b/../c?d?e/f", {
      form: "absolute",
      scheme: "https",
      authority: "[2001:db8::1]:8443",
      pathAndQuery: "//b/../c?d?e/f",
    });
  });

  test("knows a scheme in any case and leaves the host as it is spelled", () => {
    accepts("GET", "HtTpS://A.Example/", {
      form: "absolute",
      scheme: "https",
      authority: "A.Example",
      pathAndQuery: "/",
    });
  });

  test("makes an empty path a slash", () => {
    accepts("GET", "http://a.example", { form: "absolute", scheme: "http", authority: "a.example", pathAndQuery: "/" });
    accepts("GET", "http://a.example?b", {
      form: "absolute",
      scheme: "http",
      authority: "a.example",
      pathAndQuery: "/?b",
    });
  });

  test("makes an empty path an asterisk for OPTIONS, unless there is a query", () => {
    accepts("OPTIONS", "http://a.example", {
      form: "absolute",
      scheme: "http",
      authority: "a.example",
      pathAndQuery: "*",
    });
    accepts("OPTIONS", "http://a.example/", {
      form: "absolute",
      scheme: "http",
      authority: "a.example",
      pathAndQuery: "/",
    });
    accepts("OPTIONS", "http://a.example?b", {
      form: "absolute",
      scheme: "http",
      authority: "a.example",
      pathAndQuery: "/?b",
    });
  });

  test("lets pass what browsers leave unescaped", () => {
    for (const pathAndQuery of [
      "/a|b[c]^{d}`%zz?e[]=f|g\\h^{i}`%&j='k'",
      '/"a"<b>\\..\\?"c"<d>',
      "/b\xc3\xbccher?stra\xc3\x9fe=\xff\x80",
      "/\\evil.example/@",
    ]) {
      accepts("GET", `http://a.example${pathAndQuery}`, {
        form: "absolute",
        scheme: "http",
        authority: "a.example",
        pathAndQuery,
      });
    }
  });

  test("takes ws and wss, in any case, for http and https", () => {
    for (const [written, scheme] of [
      ["ws", "http"],
      ["WSS", "https"],
    ] as const) {
      const rest = { authority: "a.example:8080", pathAndQuery: "/chat" };
      accepts("GET", `${written}://a.example:8080/chat`, { form: "absolute", scheme, ...rest });
    }
  });

  test("refuses other schemes", () => {
    refuses("GET", "^ftp://a.example/", "unsupported_scheme");
    refuses("GET", "^wsss://a.example/", "unsupported_scheme");
    refuses("GET", "^file:///etc/passwd", "unsupported_scheme");
  });

  test("refuses what has no scheme or no slashes", () => {
    refuses("GET", "^a.example:80", "bad_target_form");
    refuses("GET", "^a.example/b", "bad_target_form");
    refuses("GET", "^http:/a.example/", "bad_target_form");
    refuses("GET", "^http:a.example", "bad_target_form");
    refuses("GET", "^http:\\\\a.example/", "bad_target_form");
    refuses("GET", "^://a.example/", "bad_target_form");
    refuses("GET", "^?a", "bad_target_form");
    refuses("GET", "^", "bad_target_form");
  });

  test("refuses an empty authority, userinfo and what no authority has", () => {
    refuses("GET", "http://^", "bad_authority");
    refuses("GET", "http://^/b", "bad_authority");
    refuses("GET", "http://^?b", "bad_authority");
    refuses("GET", "http://user^@a.example/", "userinfo");
    refuses("GET", "http://a.example^@b.example/", "userinfo");
    refuses("GET", "http://a.example^\\@b.example/", "userinfo");
    refuses("GET", "http://a.example^\\b/", "bad_authority");
    refuses("GET", "http://a^|b/", "bad_authority");
    refuses("GET", 'http://a^"b/', "bad_authority");
  });

  test("refuses a fragment, even an empty one", () => {
    refuses("GET", "http://a.example/^#b", "fragment");
    refuses("GET", "http://a.example^#", "fragment");
    refuses("GET", "http://a.example/?b^#", "fragment");
    refuses("GET", "http://a.example^#@b.example/", "fragment");
  });

  test("refuses what no path has", () => {
    refuses("GET", "http://a.example/b^ c", "bad_path");
    refuses("GET", "http://a.example/b^\tc", "bad_path");
    refuses("GET", "http://a.example/b^\r\n", "bad_path");
    refuses("GET", "http://a.example/b?^\x7f", "bad_path");
    refuses("GET", "http://a.example/b?^\x1b[2J", "bad_path");
    refuses("GET", "http://a.example/b^\u20ac", "bad_path");
  });
});

describe("parseRequestTarget() of the other forms", () => {
  test("takes the origin-form", () => {
    accepts("GET", "/", { form: "origin", pathAndQuery: "/" });
    accepts("GET", "/b?c=http://d/", { form: "origin", pathAndQuery: "/b?c=http://d/" });
    accepts("GET", "//a.example/b", { form: "origin", pathAndQuery: "//a.example/b" });
    accepts("OPTIONS", "/", { form: "origin", pathAndQuery: "/" });
  });

  test("checks the path of the origin-form", () => {
    refuses("GET", "/^#a", "fragment");
    refuses("GET", "/^\0", "bad_path");
  });

  test("takes the asterisk for OPTIONS alone", () => {
    accepts("OPTIONS", "*", { form: "asterisk" });
    refuses("GET", "^*", "bad_target_form");
    refuses("OPTIONS", "^*a", "bad_target_form");
    refuses("options", "^*", "bad_target_form");
  });
});
