import { describe, expect } from "bun:test";
import axe from "axe-core";
import { asking, connectAsking, findQuestion, statusOf } from "../support/approvals.ts";
import { Browser } from "../support/browser.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { needs } from "../support/needs.ts";
import { openPage } from "../support/page-tab.ts";
import { startProxy } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const tokens = [
  { name: "reader", token: "may-read", may: ["read" as const] },
  { name: "ops", token: "may-operate", may: ["read" as const, "operate" as const] },
];

describe("the panel of approvals", () => {
  needs("chromium")("appears when something waits, answers it for who may operate, and goes", async () => {
    await using folder = await makeFolder();
    await using upstream = await startConnectUpstream();
    using echo = listenEcho();
    await using proxy = await startProxy(
      asking(upstream, {
        approvals: { list: `${folder.path}/list.txt` },
        sidecar: { port: 0, token: "scenario-token", tokens },
      }),
    );
    await using browser = await Browser.start();
    const url = `http://127.0.0.1:${proxy.daemon.sidecar?.port}`;
    const reader = await openPage(browser, url, { token: "may-read" });
    expect(await reader.evaluate<boolean>(`document.querySelector(".approvals") === null`)).toBe(true);

    const hosts = ["one", "two", "three", "four"].map((name) => `${name}.example:${echo.port}`);
    const peers = await Promise.all(hosts.map((target) => connectAsking(proxy, target)));
    await Promise.all(hosts.map((target) => findQuestion(proxy, target)));
    await reader.until(`document.querySelectorAll(".approvals li").length === 4`);
    await reader.until(`document.querySelector(".approvals").innerText.includes("may not answer")`);
    expect(await reader.evaluate<number>(`document.querySelectorAll(".approvals button").length`)).toBe(0);

    const tab = await openPage(browser, url, { token: "may-operate" });
    await tab.until(`document.querySelectorAll(".approvals li").length === 4`);
    expect(await tab.text(".approvals h2")).toBe("4 targets wait for an operator");
    await tab.evaluate(`${axe.source}; undefined`);
    const faults = await tab.evaluate<string[]>(
      `axe.run(document.querySelector(".approvals")).then(({ violations }) => violations.map(({ id }) => id))`,
    );
    expect(faults).toEqual([]);

    const choices = ["Allow once", "Ten minutes", "Always", "Deny"];
    for (const [at, target] of hosts.entries()) {
      await tab.click(`.approvals button[aria-label="${choices[at]}: ${target}"]`);
      const peer = peers[at];
      if (peer === undefined) throw new Error("Nobody waits.");
      expect(await statusOf(peer)).toBe(at === 3 ? "403" : "200");
      peer[Symbol.dispose]();
    }
    await tab.until(`document.querySelector(".approvals") === null`);
    const answers = proxy.messages.filter((message) => message.startsWith("Approval "));
    expect(answers.map((message) => message.replace(/^.*: /, ""))).toEqual([
      "allowed once by ops.",
      "allowed for 10 minutes by ops.",
      "allowed for always, for everybody by ops.",
      "denied once by ops.",
    ]);
    expect(await Bun.file(`${folder.path}/list.txt`).text()).toContain(`\n${hosts[2]}  # `);
  });
});
