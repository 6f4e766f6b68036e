import { expect, test } from "bun:test";
import fc from "fast-check";
import { describeThrown } from "../../src/proxy/hook/describe-thrown.ts";
import { redactSecrets } from "../../src/proxy/hook/redact-secrets.ts";

/** Long enough not to be a part of the text around it. */
const secret = fc.string({ unit: "binary", minLength: 8, maxLength: 30 }).filter((text) => text.trim().length >= 8);

/** How a secret gets into the message of an error. */
const forms: Readonly<Record<string, (text: string) => string>> = {
  plain: (text) => text,
  json: (text) => JSON.stringify({ password: text }),
  "json in json": (text) => JSON.stringify(JSON.stringify({ password: text })),
  "json in ASCII": (text) =>
    JSON.stringify(text).replaceAll(
      /[^\x20-\x7e]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
    ),
  "a URL": (text) => `https://edge:${encodeURIComponent(text)}@rules.test/x`,
  "a query": (text) => `?p=${encodeURIComponent(text)}&q=1`,
  "a form": (text) => new URLSearchParams({ p: text }).toString(),
  "a query in lower case": (text) =>
    encodeURIComponent(text).replaceAll(/%[0-9A-F]{2}/g, (octet) => octet.toLowerCase()),
  base64: (text) => Buffer.from(text).toString("base64"),
  base64url: (text) => Buffer.from(text).toString("base64url"),
  "Basic credentials": (text) => `Basic ${Buffer.from(`alice:${text}`).toString("base64")}`,
  "base64 after one more octet": (text) => Buffer.from(`x${text}yz`).toString("base64"),
  "base64 after two more octets": (text) => Buffer.from(`xy${text}z`).toString("base64url"),
  hex: (text) => Buffer.from(text).toString("hex"),
};

test.each(Object.entries(forms))("no secret is left in a text that holds it as %s", (_, write) => {
  fc.assert(
    fc.property(secret, (text) => {
      const form = write(text);
      const clean = redactSecrets(`cannot reach ${form}, sorry`, [text]);
      expect(clean).toContain("[redacted]");
      expect(clean).not.toContain(form);
      expect(clean).toStartWith("cannot reach ");
    }),
  );
});

test("what an error says is told without secrets, in one line that no terminal minds", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary" }),
      secret,
      fc.constantFrom(...Object.values(forms)),
      (noise, text, write) => {
        const told = describeThrown(new Error(`${noise}${write(text)}${noise}`), [text]);
        expect(told).not.toContain(write(text));
        expect(told).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
        expect(told.length).toBeLessThan(2000);
      },
    ),
  );
});

test("a text without secrets stays as it is", () => {
  for (const text of ["", "connect ECONNREFUSED 127.0.0.1:5432", "basically, a bearer of news", "a@b.example"])
    expect(redactSecrets(text, ["hunter2", ""])).toBe(text.replace("bearer of", "bearer [redacted]"));
});
