import { afterAll, beforeAll } from "bun:test";
import { Browser } from "./browser.ts";
import { isInstalled } from "./needs.ts";

/** One browser for all tests of the file that calls this, where there is one. Gives it while they run. */
export function shareBrowser(): () => Browser {
  const stack = new AsyncDisposableStack();
  let browser: Browser | undefined;
  beforeAll(async () => {
    if (isInstalled("chromium")) browser = stack.use(await Browser.start());
  });
  afterAll(() => stack.disposeAsync());
  return () => {
    if (browser === undefined) throw new Error("There is no browser: this is for tests that need Chromium.");
    return browser;
  };
}
