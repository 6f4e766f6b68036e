/**
 * Writes the pictures of docs/operators-view.md: `bun test/browser/write-screenshots.ts`.
 * What they show is invented (test/support/page-samples.ts).
 */
import { join } from "node:path";
import { Browser } from "../support/browser.ts";
import { moveRows, sampleRows } from "../support/page-samples.ts";
import { startPageStand } from "../support/page-stand.ts";
import { openPage, type PageTabOptions } from "../support/page-tab.ts";
import { shrinkPng } from "../support/shrink-png.ts";

const folder = join(import.meta.dir, "../../docs/images");
/** Bytes of a picture: they are read over slow links, too. */
const MOST_BYTES = 150_000;

interface Picture extends PageTabOptions {
  readonly name: string;
  /** What has to be there. */
  readonly until: string;
}

const pictures: readonly Picture[] = [
  { name: "page-light", until: ".bars", width: 1200, height: 750 },
  { name: "page-dark", until: ".bars", width: 1200, height: 750, scheme: "dark" },
  { name: "page-tunnels", until: ".sequence", hash: "#/tunnels/k3v9q1-94?sort=-rate", width: 1200, height: 750 },
  { name: "page-phone", until: ".figures", width: 360, height: 740, scale: 2, scheme: "dark" },
  { name: "page-phone-tunnels", until: ".row[data-id]", hash: "#/tunnels", width: 360, height: 740, scale: 2 },
  { name: "page-upstreams", until: ".sheet", hash: "#/upstreams", width: 1280, height: 560 },
];

let second = 0;
await using browser = await Browser.start();
await using stand = await startPageStand({
  rows: sampleRows(1204),
  turn(rows) {
    second += 1;
    moveRows(rows, second);
  },
});
for (const { name, until, ...options } of pictures) {
  const tab = await openPage(browser, stand.url, options);
  await tab.until(`document.querySelector(${JSON.stringify(until)})`);
  // Rates are known after some seconds.
  if (options.hash?.startsWith("#/tunnels") === true)
    await tab.until("[...document.querySelectorAll('.row[data-id] .rate')].every((cell) => cell.innerText !== '–')");
  await tab.evaluate("document.querySelector('.panel')?.scrollTo(0, 9999); document.fonts.ready.then(() => undefined)");
  await tab.evaluate("document.activeElement?.blur()");
  const picture = shrinkPng(await tab.screenshot());
  if (picture.length > MOST_BYTES) throw new Error(`${name} has ${picture.length} bytes.`);
  await Bun.write(join(folder, `${name}.png`), picture);
  console.log(`docs/images/${name}.png, ${picture.length} bytes`);
}
