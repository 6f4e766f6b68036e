import { describe, expect } from "bun:test";
import { formatBytes } from "../../src/proxy/record/access-line.ts";
import { Browser } from "../support/browser.ts";
import { needs } from "../support/needs.ts";
import { openPage } from "../support/page-tab.ts";
import { basic, startProxy } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";

/** The token of every test's proxy. */
const TOKEN = "scenario-token";
const HOSTILE = "<img src=x onerror=alert(1)>";

describe("the page of a proxy", () => {
  needs("chromium")("shows its tunnels, bytes and refusals, and ends tunnels", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ users: [HOSTILE, "alice"].map((name) => ({ name, password: "secret" })) });
    const target = `127.0.0.1:${echo.port}`;
    const [hostile, alice] = await Promise.all(
      [HOSTILE, "alice"].map((name) => proxy.tunnel(target, basic(name, "secret"))),
    );
    if (hostile === undefined || alice === undefined) throw new Error("There is no tunnel.");
    using ofHostile = hostile.peer;
    using _ = alice.peer;
    ofHostile.write("x".repeat(3000));
    await ofHostile.untilText("x".repeat(3000));
    await proxy.tunnel("192.168.1.1:80", basic("alice", "secret"));

    await using browser = await Browser.start();
    const url = `http://127.0.0.1:${proxy.daemon.sidecar?.port}`;
    const tab = await openPage(browser, url, { token: TOKEN });
    await tab.until(`document.querySelector("main").innerText.includes("address_prohibited")`);
    const figures = (await tab.text(".figures")).split("\n").filter((line) => line !== "");
    expect(figures.slice(0, 2)).toEqual(["Open tunnels", "2"]);
    expect(figures.slice(figures.indexOf("Refused"), figures.indexOf("Refused") + 2)).toEqual(["Refused", "1"]);
    expect(figures.slice(figures.indexOf("Carried"), figures.indexOf("Carried") + 2)).toEqual(["Carried", "6.0 kB"]);
    // The same as the metrics, which others count.
    const metrics = await proxy.metrics();
    const sum = (name: string): number =>
      [...metrics.matchAll(new RegExp(`^${name}(?:\\{.*\\})? ([0-9.e+-]+)$`, "gm"))].reduce(
        (total, [, value]) => total + Number(value),
        0,
      );
    expect(figures.slice(1, 3)).toEqual([
      String(sum("penstock_tunnels_open")),
      `${sum("penstock_connections_open")} connections`,
    ]);
    expect(figures[figures.indexOf("Requests") + 1]).toBe("0");
    expect(figures[figures.indexOf("Refused") + 1]).toBe(String(sum("penstock_failures_total")));
    expect(figures[figures.indexOf("Carried") + 1]).toBe(formatBytes(sum("penstock_bytes_total")));
    expect((await tab.text(".bars")).split(/\s+/).filter((part) => part !== "")).toEqual([
      "address_prohibited",
      String(sum('penstock_failures_total\\{[^}]*detail="address_prohibited"\\}')),
    ]);
    expect(await tab.text(".facts")).toContain(`${sum("penstock_connections_total")} accepted`);
    await tab.until("Number(document.querySelector('[role=slider]').getAttribute('aria-valuemin')) < 0");

    await tab.click(`nav a[href^="#/tunnels"]`);
    await tab.until("document.querySelectorAll('.row[data-id]').length === 2");
    await tab.click(".cell.down button");
    await tab.until(`document.querySelector(".row[data-id] .user").innerText === ${JSON.stringify(HOSTILE)}`);
    expect(await tab.text(".row[data-id] .down")).toBe("3.0 kB");
    await tab.click(".row[data-id] .target");
    await tab.until("document.querySelector('.panel .stages')?.innerText.includes('authenticate')");
    await tab.click(".panel .danger.quiet");
    await tab.click("dialog .danger");
    await ofHostile.untilEnd();
    await tab.until("document.querySelectorAll('.row[data-id]').length === 1");
    expect(await tab.text(".row[data-id] .user")).toBe("alice");
    expect(await proxy.record(1)).toMatchObject({ end: "killed", user: HOSTILE });

    await tab.click(`nav a[href^="#/users"]`);
    await tab.until(`document.querySelector(".sheet")?.innerText.includes(${JSON.stringify(HOSTILE)})`);
    const used = await proxy.record(1);
    const rows = (await tab.text(".sheet")).split("\n").map((line) => line.split("\t"));
    const [ofUser] = rows.filter(([name]) => name?.trim() === HOSTILE);
    expect(ofUser?.slice(1, 2)).toEqual(["0"]);
    expect(ofUser?.slice(4, 6)).toEqual(
      ["today", "month"].map(() => formatBytes(Number(used["bytes_up"]) + Number(used["bytes_down"]))),
    );
    await tab.click(`nav a[href^="#/configuration"]`);
    await tab.until("document.querySelector('.tree')?.innerText.includes('[redacted]')");
    expect(await tab.text(".tree")).not.toContain("secret");
    expect(tab.complaints).toEqual([]);
  });
});
