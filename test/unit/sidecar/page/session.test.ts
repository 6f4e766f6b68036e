import { describe, expect, test } from "bun:test";
import { Session } from "../../../../src/sidecar/page/ui/session.ts";

function makeStore(token?: string) {
  const kept = new Map(token === undefined ? [] : [["penstock.token", token]]);
  return {
    kept,
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  };
}

type Send = (path: string, init: RequestInit) => Promise<Response>;

const refuse: Send = () =>
  Promise.resolve(
    Response.json({ detail: "The bearer token is wrong." }, { status: 401, headers: { "Retry-After": "7" } }),
  );

describe("the session of the page", () => {
  test("keeps a token that is accepted, and sends it in a header alone", async () => {
    const asked: [string, unknown][] = [];
    const store = makeStore();
    const session = new Session(store, (path, { headers }) => {
      asked.push([path, headers]);
      return Promise.resolve(Response.json({}));
    });
    expect(await session.signIn("s3cret")).toMatchObject({ ok: true });
    expect(asked).toEqual([["/status", { Authorization: "Bearer s3cret" }]]);
    expect([...store.kept.values()]).toEqual(["s3cret"]);
    session.signOut();
    expect(store.kept.size).toBe(0);
  });

  test("keeps no token that is refused, and tells how long to wait", async () => {
    const store = makeStore();
    const session = new Session(store, refuse);
    expect(await session.signIn("wrong")).toEqual({
      ok: false,
      status: 401,
      message: "The bearer token is wrong.",
      retryAfter: 7,
    });
    expect([session.isOpen, store.kept.size]).toEqual([false, 0]);
  });

  test.each(["two words", "line\nbreak", "ключ"])("does not ask with %p, which no header can have", async (token) => {
    const session = new Session(makeStore(), () => {
      throw new Error("It was asked.");
    });
    expect(await session.signIn(token)).toMatchObject({ ok: false, status: 401 });
  });

  test("ends when the token is no longer the right one", async () => {
    const store = makeStore("old");
    const session = new Session(store, refuse);
    const told: string[] = [];
    session.whenRefused = (message) => told.push(message);
    expect(session.isOpen).toBe(true);
    expect(await session.ask("/status")).toMatchObject({ ok: false, status: 401 });
    expect([session.isOpen, store.kept.size, told]).toEqual([false, 0, ["The bearer token is wrong."]]);
  });

  test("goes on when something is refused to this token only", async () => {
    const session = new Session(makeStore("reader"), () =>
      Promise.resolve(Response.json({ detail: 'The token "reader" may read.' }, { status: 403 })),
    );
    expect(await session.ask("/tunnels/1", { method: "DELETE" })).toMatchObject({
      message: 'The token "reader" may read.',
    });
    expect(session.isOpen).toBe(true);
  });

  test.each([
    ["nothing comes", () => Promise.reject(new Error("refused")), "The sidecar does not answer."],
    ["no JSON comes", () => Promise.resolve(new Response("<p>", { status: 502 })), "The sidecar answered 502."],
    ["half an answer comes", () => Promise.resolve(new Response('{"a":')), "The answer of the sidecar was cut off."],
  ] satisfies [string, Send, string][])("says so in a sentence when %s", async (_, send, message) => {
    expect(await new Session(makeStore("t"), send).ask("/status")).toMatchObject({ ok: false, message });
  });
});
