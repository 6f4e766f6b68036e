import { afterAll, beforeAll, describe, expect } from "bun:test";
import axe from "axe-core";
import { Browser, type Tab } from "../support/browser.ts";
import { isInstalled, needs } from "../support/needs.ts";
import { sampleRows } from "../support/page-samples.ts";
import { type PageStand, startPageStand } from "../support/page-stand.ts";
import { openPage, SHOWN } from "../support/page-tab.ts";

const inBrowser = needs("chromium");
const stack = new AsyncDisposableStack();
let browser: Browser;
let stand: PageStand;

beforeAll(async () => {
  if (!isInstalled("chromium")) return;
  browser = stack.use(await Browser.start());
  stand = stack.use(await startPageStand({ rows: sampleRows(60), status: { warnings: ["The last reload failed."] } }));
});
afterAll(() => stack.disposeAsync());

/** What the rules of WCAG 2.1 AA and good practice find (https://github.com/dequelabs/axe-core). */
async function findFaults(tab: Tab): Promise<string[]> {
  const found = await tab.evaluate<{ id: string; nodes: { html: string; failureSummary: string }[] }[]>(
    `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html, failureSummary }) => ({ html, failureSummary })) })))`,
  );
  return found.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`),
  );
}

/** Goes to a view in the page that is open. */
async function show(tab: Tab, hash: string): Promise<void> {
  await tab.evaluate(
    `history.pushState(null, "", ${JSON.stringify(hash)}), dispatchEvent(new PopStateEvent("popstate"))`,
  );
  await tab.until(`document.querySelector(${JSON.stringify(SHOWN[hash] ?? ".sequence")})`);
}

const views = [...Object.keys(SHOWN), "#/tunnels/k3v9q1-1"];

describe.each(["light", "dark"] as const)("every view in %s colours", (scheme) => {
  inBrowser("has labels, roles and contrast for everybody, on a desk and on a phone", async () => {
    const tab = await openPage(browser, stand.url, { scheme });
    await tab.evaluate(`${axe.source}; undefined`);
    const faults: string[] = [];
    for (const width of [1280, 360]) {
      await tab.resize(width, 800);
      for (const hash of views) {
        await show(tab, hash);
        faults.push(...(await findFaults(tab)).map((fault) => `${hash} at ${width}: ${fault}`));
      }
    }
    expect(faults).toEqual([]);
    await show(tab, "#/");
    await tab.click("button[aria-label='Sign out']");
    await tab.until("document.querySelector('#token')");
    expect(await findFaults(tab)).toEqual([]);
  });
});

describe("the page", () => {
  inBrowser("fits into 360 pixels and fills 3,840", async () => {
    const tab = await openPage(browser, stand.url, { width: 360, height: 740 });
    for (const [width, height] of [
      [360, 740],
      [3840, 2160],
    ] as const) {
      await tab.resize(width, height);
      for (const hash of views) {
        await show(tab, hash);
        const sizes = await tab.evaluate<object>(
          `({ page: document.documentElement.scrollWidth, outside: [...document.querySelectorAll("button, input, h2, h3, dd, td, .cell")].filter((e) => { const b = e.getBoundingClientRect(); return b.width > 0 && getComputedStyle(e).clipPath === "none" && !e.closest("nav, .grid-head") && b.right > innerWidth + 1; }).map((e) => e.outerHTML.slice(0, 100)) })`,
        );
        expect({ hash, sizes }).toEqual({ hash, sizes: { page: width, outside: [] } });
      }
    }
    // Text grows with the screen.
    expect(
      await tab.evaluate<number>("parseFloat(getComputedStyle(document.documentElement).fontSize)"),
    ).toBeGreaterThan(20);
  });

  inBrowser("has the colours that somebody chose, whatever the system prefers", async () => {
    const tab = await openPage(browser, stand.url, { scheme: "light" });
    const paper = (): Promise<string> => tab.evaluate("getComputedStyle(document.body).backgroundColor");
    const light = await paper();
    await tab.click("button[aria-label^='Colours']");
    expect(await paper()).toBe(light);
    await tab.click("button[aria-label^='Colours: light']");
    await tab.until("document.documentElement.dataset.theme === 'dark'");
    const dark = await paper();
    expect(dark).not.toBe(light);
    await tab.send("Page.reload");
    await tab.until("document.querySelector('.figures')");
    expect(await paper()).toBe(dark);
  });
});
