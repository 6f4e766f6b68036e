import { describe, expect } from "bun:test";
import { needs } from "../support/needs.ts";
import { startPageStand } from "../support/page-stand.ts";
import { openPage } from "../support/page-tab.ts";
import { shareBrowser } from "../support/share-browser.ts";
import { waitFor } from "../support/wait-for.ts";

const inBrowser = needs("chromium");
const browser = shareBrowser();

/** The cells of the table, row by row. */
const CELLS = `[...document.querySelectorAll(".sheet tbody tr")].map((row) => [...row.cells].map((cell) => cell.innerText.replace(/\\s+/g, " ").trim()))`;

describe("the lists of rules", () => {
  inBrowser("are shown with their state, and why there is no newer content", async () => {
    await using stand = await startPageStand({
      status: {
        started_at: "2026-11-29T01:00:00.000Z",
        uptime_ms: 7_200_000,
        lists: [
          { name: "@dev", state: "good", entries: 12_345, failures: 0, read_at: "2026-11-29T02:57:00.000Z" },
          {
            name: "ads.txt",
            state: "failing",
            entries: 7,
            failures: 3,
            read_at: "2026-11-29T01:00:00.000Z",
            why: "The list answered with 503.",
          },
          { name: "https://lists.example/a.txt", state: "kept", entries: 9, failures: 0 },
          { name: "new.txt", state: "empty", entries: 0, failures: 1, why: "Cannot read it." },
        ],
      },
    });
    const tab = await openPage(browser(), stand.url, { hash: "#/lists" });
    await tab.until("document.querySelector('.sheet tbody tr')");
    expect(await tab.evaluate<string[][]>(CELLS)).toEqual([
      ["@dev", "in use", "12,345", "3 m 00 s ago", "0"],
      ["ads.txt", "newest content not usable The list answered with 503.", "7", "2 h 00 m ago", "3"],
      ["https://lists.example/a.txt", "kept, not read yet", "9", "–", "0"],
      ["new.txt", "no content yet Cannot read it.", "0", "–", "1"],
    ]);
    expect(await tab.evaluate("[...document.querySelectorAll('.sheet .dot')].map((dot) => dot.className).join()")).toBe(
      "dot good,dot bad,dot warn,dot bad",
    );
    expect(await tab.text("nav [aria-current]")).toBe("Lists");
    expect(tab.complaints).toEqual([]);
  });

  inBrowser("are said to be none where no rule uses one", async () => {
    await using stand = await startPageStand({ status: { lists: [] } });
    const tab = await openPage(browser(), stand.url, { hash: "#/lists" });
    await tab.until("document.querySelector('.waiting')");
    expect(await tab.text("main")).toContain("No rule uses a list from a file or a URL.");
  });
});

describe("what two parts of the page show", () => {
  inBrowser("is asked for once, also when the tab was hidden in the meantime", async () => {
    await using stand = await startPageStand();
    const tab = await openPage(browser(), stand.url);
    const asked = (): number => tab.requests.filter((url) => url.endsWith("/series?span=1d")).length;
    await tab.click(".segments button:last-child");
    await tab.until("document.querySelector('[role=slider]')?.getAttribute('aria-valuemin') === '-1439'");
    expect(asked()).toBe(1);
    // A look asks at once, unless it is asked already.
    await tab.evaluate(`{
      for (let look = 0; look < 2; look += 1) document.dispatchEvent(new Event("visibilitychange"));
    }`);
    await waitFor(() => asked() > 1, "the next question");
    await tab.evaluate("fetch('/healthz').then(() => undefined)");
    expect(asked()).toBe(2);
  });
});
