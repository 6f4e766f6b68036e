import { describe, expect, test } from "bun:test";
import type { Fetched, FetchOrder } from "../../../src/net/http/fetch-text.ts";
import { decodePac, FollowedPac, type PacSource } from "../../../src/pac/followed-pac.ts";
import { waitFor } from "../../support/wait-for.ts";

const file: PacSource = { name: "corp", at: { kind: "file", path: "/etc/proxy.pac", text: "good 1" } };
const fetched = (refreshMs = 3_600_000): PacSource => ({
  name: "corp",
  at: { kind: "url", url: "https://pac.example/proxy.pac", refreshMs },
});

function content(text: string, etag?: string): Fetched {
  return { kind: "content", bytes: Buffer.from(text), etag, lastModified: undefined };
}

/** Loads what begins with "good". `answers` are what is fetched, one after the other; the last one stays. */
function stand(source: PacSource, answers: readonly Fetched[] = []) {
  const told: string[] = [];
  const orders: FetchOrder[] = [];
  const loads: string[] = [];
  const pac = new FollowedPac(source, {
    tell: (message) => told.push(message),
    fetch: async (order) => {
      orders.push(order);
      return answers[Math.min(orders.length, answers.length) - 1] as Fetched;
    },
    thread: {
      load: async (text) => {
        loads.push(text);
        return text.startsWith("good") ? { ok: true } : { ok: false, why: "threw SyntaxError" };
      },
      find: async () => ({ kind: "answer", text: undefined }),
      close() {},
    },
    now: () => 1000,
    random: () => 0.5,
  });
  return { pac, told, orders, loads };
}

describe("a PAC file that is a file", () => {
  test("is in use once it is loaded", async () => {
    const { pac, told } = stand(file);
    expect([pac.version, pac.missing]).toEqual([0, "is still being fetched"]);
    await pac.start();
    expect([pac.version, pac.missing]).toEqual([1, undefined]);
    expect(pac.status).toEqual({
      name: "corp",
      from: "/etc/proxy.pac",
      readAt: 1000,
      loadedAt: 1000,
      fault: undefined,
      failures: 0,
      lastFailure: undefined,
    });
    expect(told).toEqual([]);
  });

  test("is replaced by a good one, and not by the same", async () => {
    const { pac, told, loads } = stand(file);
    await pac.start();
    await pac.replace("good 1");
    expect(loads).toEqual(["good 1"]);
    await pac.replace("good 2");
    expect(pac.version).toBe(2);
    expect(told).toEqual(["Read the PAC file of upstream corp again."]);
  });

  test("stays in use when the new one is broken or cannot be read, and says so once", async () => {
    const { pac, told } = stand(file);
    await pac.start();
    await pac.replace("bad");
    await pac.replace("bad");
    expect(pac.version).toBe(1);
    expect(pac.status).toMatchObject({ fault: "threw SyntaxError", failures: 2, loadedAt: 1000 });
    expect(told).toEqual(["The PAC file of upstream corp threw SyntaxError. The one before stays in use."]);
    pac.blame("cannot be read: the permission is missing");
    expect(told.at(-1)).toContain("cannot be read: the permission is missing. The one before stays in use.");
    await pac.replace("good 1");
    expect(told.at(-1)).toBe("The PAC file of upstream corp can be used again.");
    expect(pac.status.fault).toBeUndefined();
  });
});

describe("a PAC file that is fetched", () => {
  test("is asked for again with what the last answer said of itself, and kept when it is unchanged", async () => {
    const { pac, orders, told } = stand(fetched(10), [content("good 1", '"v1"'), { kind: "unchanged" }]);
    await pac.start();
    await waitFor(() => orders.length >= 3, "two more questions");
    pac.close();
    expect(orders[0]).not.toHaveProperty("etag");
    expect(orders[1]).toMatchObject({ url: "https://pac.example/proxy.pac", etag: '"v1"', maxBytes: 4 * 1024 * 1024 });
    expect(pac.version).toBe(1);
    expect(told).toEqual([]);
  });

  test("is replaced by a new one", async () => {
    const { pac, told } = stand(fetched(10), [content("good 1"), content("good 2")]);
    await pac.start();
    await waitFor(() => pac.version === 2, "the second file");
    pac.close();
    expect(told).toEqual(["Read the PAC file of upstream corp again."]);
  });

  test("that cannot be fetched at first is tried again, and requests are refused until then", async () => {
    const { pac, told } = stand(fetched(10), [{ kind: "failed", why: "answered with 404" }, content("good 1")]);
    await pac.start();
    expect(pac.missing).toBe("answered with 404");
    expect(told).toEqual([
      "The PAC file of upstream corp answered with 404. Requests through this upstream are refused until there is one.",
    ]);
    await waitFor(() => pac.version === 1, "the file");
    pac.close();
    expect(told.at(-1)).toBe("The PAC file of upstream corp can be used again.");
  });

  test("that is broken is fetched whole the next time, and the one before stays in use", async () => {
    const { pac, orders } = stand(fetched(10), [content("good 1", '"v1"'), content("bad", '"v2"')]);
    await pac.start();
    await waitFor(() => orders.length >= 3, "two more questions");
    pac.close();
    expect(orders[1]?.etag).toBe('"v1"');
    expect(orders[2]).not.toHaveProperty("etag");
    expect([pac.version, pac.status.fault]).toEqual([1, "threw SyntaxError"]);
  });

  test("is not asked for any more once it is closed", async () => {
    const { pac, orders } = stand(fetched(1), [content("good 1")]);
    await pac.start();
    pac.close();
    const before = orders.length;
    await Bun.sleep(20);
    expect(orders.length).toBe(before);
  });
});

test("a PAC file is UTF-8 with or without a mark, or else Latin-1", () => {
  expect(decodePac(Buffer.from("\u{feff}é"))).toBe("é");
  expect(decodePac(Buffer.from("é"))).toBe("é");
  expect(decodePac(Buffer.from([0xe9]))).toBe("é");
});
