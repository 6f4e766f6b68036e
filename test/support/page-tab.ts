import type { Browser, Tab } from "./browser.ts";
import { PAGE_TOKEN } from "./page-stand.ts";

export interface PageTabOptions {
  readonly hash?: string;
  readonly width?: number;
  readonly height?: number;
  readonly scale?: number;
  readonly scheme?: "light" | "dark";
  readonly token?: string;
}

/** What shows that a view has its data. */
export const SHOWN: Readonly<Record<string, string>> = {
  "#/": ".figures",
  "#/tunnels": "#tunnel-rows .row[data-id]",
  "#/upstreams": ".sheet tbody tr",
  "#/lists": ".sheet tbody tr, .waiting",
  "#/users": ".sheet tbody tr",
  "#/certificates": ".certificates li",
  "#/configuration": ".tree details",
};

/** Opens the page with a token that was entered before. */
export async function openPage(browser: Browser, url: string, options: PageTabOptions = {}): Promise<Tab> {
  const { hash = "#/", width = 1280, height = 800, scale = 1, scheme = "light", token = PAGE_TOKEN } = options;
  const tab = await browser.open();
  await tab.resize(width, height, scale);
  await tab.prefer(scheme);
  await tab.send("Page.addScriptToEvaluateOnNewDocument", {
    source: `sessionStorage.setItem("penstock.token", ${JSON.stringify(token)})`,
  });
  await tab.go(`${url}/${hash}`);
  const shown = SHOWN[hash.replace(/[?].*$/, "")];
  // A token that is not the usual one may see nothing of it.
  if (shown !== undefined && token === PAGE_TOKEN) await tab.until(`document.querySelector(${JSON.stringify(shown)})`);
  return tab;
}
