import { describe, expect } from "bun:test";
import { needs } from "../support/needs.ts";
import { sampleRow, sampleRows } from "../support/page-samples.ts";
import { PAGE_TOKEN, startPageStand } from "../support/page-stand.ts";
import { openPage } from "../support/page-tab.ts";
import { grant } from "../support/sidecar-tokens.ts";
import { shareBrowser } from "../support/share-browser.ts";
import { waitFor } from "../support/wait-for.ts";

const inBrowser = needs("chromium");
const browser = shareBrowser();

/** The ids of the rows in sight, from above. */
const SHOWN_IDS = `[...document.querySelectorAll("#tunnel-rows .row[data-id]")].map((row) => row.dataset.id)`;

describe("who opens the page", () => {
  inBrowser("is asked for the token once, and told when it is wrong", async () => {
    await using stand = await startPageStand({ rows: sampleRows(3) });
    const tab = await browser().open();
    await tab.go(`${stand.url}/`);
    await tab.until("document.activeElement?.id === 'token'");
    await tab.type("not-the-token");
    await tab.press("Enter");
    await tab.until("document.querySelector('#token-problem')?.innerText !== ''");
    expect(await tab.text("#token-problem")).toBe("The bearer token is wrong.");
    expect(await tab.text("button[type=submit]")).toMatch(/^Wait \d+ s$/);
    await tab.until("document.querySelector('button[type=submit]').innerText === 'Open'");
    // The wrong one is selected, so that the next one takes its place.
    await tab.type(PAGE_TOKEN);
    await tab.press("Enter");
    await tab.until("document.querySelector('.figures')");

    await tab.go(`${stand.url}/#/users`);
    await tab.send("Page.reload");
    await tab.until("document.querySelector('.sheet')");
    expect(tab.requests.filter((url) => url.includes(PAGE_TOKEN) || url.includes("not-the-token"))).toEqual([]);
    expect(await tab.evaluate("[location.href, document.cookie, JSON.stringify(localStorage)].join()")).not.toContain(
      PAGE_TOKEN,
    );

    await tab.click("button[aria-label='Sign out']");
    await tab.until("document.querySelector('#token')");
    expect(await tab.evaluate("sessionStorage.length")).toBe(0);
    expect(tab.complaints).toEqual([]);
  });

  inBrowser("is asked again when the token is not valid any more", async () => {
    await using stand = await startPageStand();
    const tab = await openPage(browser(), stand.url, { token: "old" });
    await tab.until("document.querySelector('#token')");
    expect(await tab.text("#token-problem")).toBe("The bearer token is wrong.");
  });

  inBrowser("asks its own sidecar, and nobody else", async () => {
    await using stand = await startPageStand({ rows: sampleRows(3) });
    const tab = await openPage(browser(), stand.url);
    expect(new Set(tab.requests.map((url) => new URL(url).origin))).toEqual(new Set([stand.url]));
    expect(tab.complaints).toEqual([]);
  });
});

describe("the overview", () => {
  inBrowser("shows the figures of the sidecar", async () => {
    await using stand = await startPageStand({ rows: sampleRows(37) });
    const tab = await openPage(browser(), stand.url);
    const text = await tab.text("main");
    for (const figure of ["63.7 MB/s", "9.5 MB/s", "37", "67 connections", "38/s", "12 ms", "94 ms", "82", "11.5 TB"])
      expect(text.replaceAll(/\s+/g, " ")).toContain(figure);
    for (const line of [
      "denied_by_rule\n41",
      "1 of 5 upstreams unhealthy",
      "Certificate of 10.20.0.5:3129 ends in 12 days",
    ])
      expect(text).toContain(line);
  });

  inBrowser("tells the values under the cursor of a chart to those who cannot see it", async () => {
    await using stand = await startPageStand();
    const tab = await openPage(browser(), stand.url);
    const chart = "document.querySelector('[role=slider]')";
    await tab.evaluate(`${chart}.focus()`);
    await tab.press("End");
    const now = await tab.evaluate<string>(`${chart}.getAttribute('aria-valuetext')`);
    await tab.press("Home");
    await tab.until(`${chart}.getAttribute('aria-valuenow') === '-899'`);
    // At one moment: the cursor stays where it is, while time goes on.
    const [then, readout] = await tab.evaluate<[string, string]>(
      `[${chart}.getAttribute('aria-valuetext'), document.querySelector(".readout").innerText]`,
    );
    for (const text of [now, then]) expect(text).toMatch(/^\d\d:\d\d:\d\d: down [\d.]+ MB\/s, up [\d.]+ MB\/s$/);
    expect(then).not.toBe(now);
    expect(readout.replaceAll("\n", " ")).toBe(then.replaceAll(/: (?=down)|,/g, (sign) => (sign === "," ? "" : " ")));
  });

  inBrowser("shows a day by the minute", async () => {
    await using stand = await startPageStand();
    const tab = await openPage(browser(), stand.url);
    await tab.click(".segments button:last-child");
    await tab.until("document.querySelector('[role=slider]')?.getAttribute('aria-valuemin') === '-1439'");
    expect(tab.requests.filter((url) => url.endsWith("/series?span=1d"))).not.toEqual([]);
  });
});

describe("the table of tunnels", () => {
  inBrowser("sorts and filters, and keeps both in the address", async () => {
    const rows = [
      { ...sampleRow(1), id: "small", user: "alice", bytes_down: 10, target: "one.example:443" },
      { ...sampleRow(2), id: "large", user: "alice", bytes_down: 9e9, target: "two.example:443" },
      { ...sampleRow(3), id: "other", user: "bob", bytes_down: 5000, target: "three.example:443" },
    ];
    await using stand = await startPageStand({ rows });
    const tab = await openPage(browser(), stand.url, { hash: "#/tunnels" });
    await tab.click(".cell.down button");
    await tab.until(`${SHOWN_IDS}.join() === 'large,other,small'`);
    await tab.click(".cell.down button");
    await tab.until(`${SHOWN_IDS}.join() === 'small,other,large'`);
    expect(await tab.evaluate("document.querySelector('[aria-sort]').getAttribute('aria-sort')")).toBe("ascending");
    await tab.evaluate("document.querySelector('#tunnel-rows').focus()");
    await tab.press("/");
    await tab.until("document.activeElement.id === 'filter'");
    await tab.type("user:alice");
    await tab.until(`${SHOWN_IDS}.join() === 'small,large'`);
    expect(await tab.evaluate("location.hash")).toBe("#/tunnels?filter=user%3Aalice&sort=down");
    await tab.send("Page.reload");
    await tab.until(`${SHOWN_IDS}.join() === 'small,large'`);
  });

  inBrowser("opens a tunnel with its stages, TLS facts and handshake", async () => {
    await using stand = await startPageStand({ rows: [{ ...sampleRow(1), id: "one" }] });
    const tab = await openPage(browser(), stand.url, { hash: "#/tunnels" });
    await tab.click("[data-id=one] .target");
    await tab.until("document.querySelector('.sequence')");
    const text = await tab.text(".panel");
    for (const part of [
      "authenticate",
      "14 ms",
      "TLS_AES_128_GCM_SHA256",
      "t13d",
      "ClientHello",
      "{handshake}",
      "2.8 kB",
    ])
      expect(text).toContain(part);
    expect(await tab.evaluate("document.activeElement.id")).toBe("panel-title");
    await tab.press("Escape");
    await tab.until("!document.querySelector('.panel') && document.activeElement.id === 'tunnel-rows'");
  });

  inBrowser("ends one, and all of a user, after a question", async () => {
    const rows = ["alice", "alice", "bob"].map((user, at) => ({ ...sampleRow(at + 1), id: `t${at}`, user }));
    await using stand = await startPageStand({ rows, everyMs: 100 });
    const tab = await openPage(browser(), stand.url, { hash: "#/tunnels" });
    await tab.click("[data-id=t2] .target");
    await tab.click(".panel .danger");
    await tab.until("document.querySelector('dialog[open]')");
    await tab.click("dialog button:first-child");
    await tab.until("!document.querySelector('dialog[open]')");
    expect(stand.killed).toEqual([]);
    await tab.click(".panel .danger");
    await tab.click("dialog .danger");
    await tab.until("document.querySelector('.panel .problem')?.innerText.startsWith('It is over.')");
    await tab.until(`!${SHOWN_IDS}.includes('t2')`);
    await tab.press("Escape");

    await tab.click("#filter");
    await tab.type("user:alice");
    await tab.click(".toolbar .danger");
    await tab.until("document.querySelector('dialog[open]')?.innerText.includes('all tunnels and requests of alice')");
    await tab.click("dialog .danger");
    await tab.until("document.querySelector('.notice').innerText === 'Ended 2 tunnels of alice.'");
    expect(stand.killed).toEqual([{ id: "t2" }, { user: "alice" }]);
  });

  inBrowser("offers to end nothing to a token that may only read, and says so", async () => {
    const tokens = [grant("reader", "read")];
    await using stand = await startPageStand({ rows: sampleRows(2), tokens });
    const tab = await openPage(browser(), stand.url, { hash: "#/tunnels?filter=user:alice", token: "reader" });
    await tab.until("document.querySelector('main').innerText.includes('This token may not end tunnels')");
    await tab.click(".row[data-id] .target");
    await tab.until("document.querySelector('.panel .facts')");
    await tab.evaluate("document.querySelector('#tunnel-rows').focus()");
    await tab.press("ArrowDown");
    await tab.press("Delete");
    expect(await tab.evaluate("document.querySelectorAll('button.danger, dialog').length")).toBe(0);
    expect(await tab.evaluate("document.querySelector('#tunnel-rows').ariaLabel")).not.toContain("Delete");
    expect([stand.rows.size, stand.killed]).toEqual([2, []]);
  });

  inBrowser("works with the keyboard alone", async () => {
    await using stand = await startPageStand({ rows: sampleRows(300), everyMs: 100 });
    const tab = await openPage(browser(), stand.url, { hash: "#/tunnels?sort=user" });
    await tab.until("document.querySelector('.row[data-id]')");
    const reached: string[] = [];
    for (let at = 0; at < 40 && !reached.includes("tunnel-rows"); at += 1) {
      await tab.press("Tab");
      reached.push(await tab.evaluate<string>("document.activeElement.id || document.activeElement.innerText"));
    }
    expect(reached).toContain("Users");
    expect(reached).toContain("filter");
    expect(reached.at(-1)).toBe("tunnel-rows");
    for (const key of ["ArrowDown", "ArrowDown", "End"]) await tab.press(key);
    const active =
      "document.getElementById(document.querySelector('#tunnel-rows').getAttribute('aria-activedescendant'))";
    await tab.until(`${active}?.getAttribute('aria-rowindex') === '301'`);
    const { top, bottom, height } = await tab.evaluate<DOMRectLike>(`${active}.getBoundingClientRect().toJSON()`);
    expect([top > 0, bottom <= 800, height > 20]).toEqual([true, true, true]);
    const id = await tab.evaluate<string>(`${active}.dataset.id`);
    await tab.press("Enter");
    await tab.until("document.activeElement.id === 'panel-title'");
    expect(await tab.evaluate("location.hash")).toBe(`#/tunnels/${id}?sort=user`);
    await tab.press("Escape");
    await tab.press("Delete");
    await tab.until("document.querySelector('dialog[open]')");
    await tab.press("Tab");
    await tab.press("Enter");
    await tab.until("!document.querySelector('dialog[open]')");
    expect(stand.killed).toEqual([{ id }]);
  });

  inBrowser("is where it was after the connection broke", async () => {
    const rows = sampleRows(400);
    const first = await startPageStand({ rows, everyMs: 100 });
    const tab = await openPage(browser(), first.url, { hash: "#/tunnels?sort=user&filter=corp" });
    await tab.until("document.querySelector('.row[data-id]')");
    await tab.evaluate("document.querySelector('#tunnel-rows').scrollTop = 2000");
    await tab.until(
      "document.querySelector('.chunk').getAttribute('style').includes('translateY(') && document.querySelector('#row-70')",
    );
    const before = await tab.evaluate<string[]>(SHOWN_IDS);
    await tab.click("#row-70 .target");
    await tab.until("document.querySelector('.panel .stages')");
    const opened = await tab.evaluate<string>("location.hash");
    await first[Symbol.asyncDispose]();
    await tab.until("document.querySelector('.link-state .bad')");
    // What was known stays to be read.
    expect(await tab.evaluate<string[]>(SHOWN_IDS)).toEqual(before);

    await using second = await waitFor(
      () => startPageStand({ rows, port: first.port }).catch(() => false as const),
      "the port",
    );
    // Or it has come back by itself.
    await tab.evaluate("document.querySelector('.link-state button')?.click()");
    await tab.until("document.querySelector('.link-state .good')");
    expect(await tab.evaluate("document.querySelector('#tunnel-rows').scrollTop")).toBe(2000);
    expect(await tab.evaluate<string>("location.hash")).toBe(opened);
    expect(await tab.evaluate<string[]>(SHOWN_IDS)).toEqual(before);
    expect(await tab.text(".panel h2")).not.toBe("");
    expect([tab.complaints, second.bugs]).toEqual([[], []]);
  });

  inBrowser("has elements only for the rows in sight", async () => {
    await using stand = await startPageStand({ rows: sampleRows(5000) });
    const tab = await openPage(browser(), stand.url, { hash: "#/tunnels" });
    await tab.until("document.querySelector('#tunnel-rows').getAttribute('aria-rowcount') === '5001'");
    expect(await tab.evaluate<number>("document.querySelectorAll('#tunnel-rows .row').length")).toBeLessThan(120);
  });
});

type DOMRectLike = Readonly<Record<"top" | "bottom" | "height", number>>;
