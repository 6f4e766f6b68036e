import { describe, expect } from "bun:test";
import { needs } from "../support/needs.ts";
import { sampleRow, sampleUpstreams } from "../support/page-samples.ts";
import { startPageStand } from "../support/page-stand.ts";
import { openPage } from "../support/page-tab.ts";
import { shareBrowser } from "../support/share-browser.ts";

const inBrowser = needs("chromium");
const browser = shareBrowser();

/** What peers may call themselves. Each runs `alert` or leaves a mark where it is taken for more than text. */
const hostileNames = [
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  "<svg/onload=alert(1)>",
  "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
  '"><iframe srcdoc="<script>alert(1)</script>">',
  "' autofocus onfocus=alert(1) x='",
  '" style="position:fixed;inset:0" onmouseover="alert(1)',
  "javascript:alert(1)",
  "data:text/html,<script>alert(1)</script>",
  "</title><script>alert(1)</script>",
  "</style><style>*{display:none}</style>",
  "<!--><script>alert(1)</script>-->",
  "<math><mtext></p><mglyph><style><img src onerror=alert(1)>",
  "<link rel=stylesheet href=//evil.example/x.css>",
  "<meta http-equiv=refresh content=0;url=//evil.example/>",
  "<base href=//evil.example/>",
  "<form action=//evil.example><button autofocus>x",
  "{{constructor.constructor('alert(1)')()}}",
  "${alert(1)}",
  "\u0000<img src=x onerror=alert(1)>",
  "\u202e>lmth<\u202c\u2066",
  "event: gone\ndata: {}\n\n",
  "__proto__",
  "constructor",
  "%3Cimg%20src=x%20onerror=alert(1)%3E",
  "#/tunnels/<img src=x onerror=alert(1)>?filter=<b>",
  "a".repeat(512),
  "\ud800\udc00\ud83d\udd25 é 漢字",
];

describe("names that are meant to be taken for HTML", () => {
  inBrowser("are text in every view: no script runs, no dialog opens, no element is made", async () => {
    const rows = hostileNames.map((name, at) => ({
      ...sampleRow(at + 1),
      kind: "tunnel" as const,
      id: `${at}${name}`,
      listener: name,
      client: name,
      user: name,
      parameters: { [name]: name },
      protocol: name,
      method: name,
      scheme: name,
      target: name,
      dialled: name,
      rule: name,
      route: name,
      inside: name,
      limit: name,
      tls: { sni: name, alpn: name, alpn_chosen: name, version: name, cipher: name, ja4: name, ja3: name, alert: name },
    }));
    const [pool] = sampleUpstreams;
    if (pool === undefined || !("balance" in pool)) throw new Error("There is no pool.");
    await using stand = await startPageStand({
      rows,
      status: {
        version: hostileNames[1] ?? "",
        warnings: hostileNames,
        refusals: Object.fromEntries(hostileNames.map((name, at) => [name, 100 - at])),
        listeners: hostileNames.map((address) => ({ address, tls: true, accepted: 1 })),
        certificates: hostileNames.map((name) => ({ name, days: 1 })),
        lists: hostileNames.map((name) => ({ name, state: "failing", entries: 1, failures: 1, why: name })),
      },
      upstreams: hostileNames.flatMap((name) => [
        {
          ...pool,
          name,
          balance: name,
          members: pool.members.map((member, at) => ({ ...member, name: `${at}${name}`, reason: name })),
        },
        { name: `single ${name}`, kind: name, address: name, dialling: 0, dialled: 0, failed: 0 },
      ]),
    });
    const tab = await openPage(browser(), stand.url);
    const allowed =
      "a aside b body br button canvas circle code dd details dialog div dl dt h1 h2 h3 head header html i input label li link main meta nav ol option p path script section select small span summary svg table tbody td th thead time title tr ul";
    /** Elements and attributes that are not of the page. */
    const strange = `(() => {
      const allowed = new Set(${JSON.stringify(allowed.split(" "))});
      const found = [];
      for (const element of document.querySelectorAll("*")) {
        if (!allowed.has(element.localName)) found.push(element.localName);
        for (const { name } of element.attributes) if (name.startsWith("on") || name === "srcdoc" || name === "action") found.push(name);
        if (element.localName === "a" && !element.getAttribute("href").startsWith("#")) found.push(element.outerHTML);
      }
      return [...found, ...(document.scripts.length === 1 ? [] : ["scripts"]), ...(location.origin === ${JSON.stringify(stand.url)} ? [] : [location.href])];
    })()`;
    expect(await tab.evaluate(strange)).toEqual([]);
    expect(await tab.text("main")).toContain("<img src=x onerror=alert(1)>");

    for (const view of ["tunnels", "users", "upstreams", "lists", "certificates", "configuration"]) {
      await tab.click(`nav a[href^="#/${view}"]`);
      await tab.until(`document.querySelector("nav [aria-current]").innerText.toLowerCase() === "${view}"`);
      await tab.until("document.querySelector('.row[data-id], .sheet tbody tr, .certificates li, .tree *')");
      expect(await tab.evaluate(strange)).toEqual([]);
    }
    await tab.click('nav a[href^="#/tunnels"]');
    for (const { id, user } of rows) {
      const row = `document.querySelector('[data-id=' + CSS.escape(${JSON.stringify(id)}) + ']')`;
      await tab.evaluate(
        `history.pushState(null, "", "#/tunnels/" + encodeURIComponent(${JSON.stringify(id.toWellFormed())})), dispatchEvent(new PopStateEvent("popstate"))`,
      );
      await tab.until("document.querySelector('.panel .facts dd')");
      // Each has its name as text, but for characters that are not shown as they are.
      if (/^[\x20-\x7e]*$/.test(user)) expect(await tab.text(".panel .facts dd")).toBe(user.trim());
      expect({ user, strange: await tab.evaluate(strange) }).toEqual({ user, strange: [] });
      expect(await tab.evaluate(`Boolean(${row}) || document.querySelectorAll('.row[data-id]').length > 10`)).toBe(
        true,
      );
    }
    // The question before an end has a name in it, and so has what is said afterwards.
    await tab.click(".panel .danger.quiet");
    await tab.until("document.querySelector('dialog[open]')");
    await tab.click("dialog .danger");
    await tab.until("document.querySelector('.notice').innerText !== ''");
    expect(await tab.evaluate(strange)).toEqual([]);
    expect(tab.complaints).toEqual([]);
    expect(tab.requests.filter((url) => !url.startsWith(stand.url))).toEqual([]);
  });

  inBrowser("find a policy that stops what would get through", async () => {
    await using stand = await startPageStand();
    const tab = await openPage(browser(), stand.url);
    const outcomes = await tab.evaluate<string[]>(`Promise.all([
      () => { document.body.insertAdjacentHTML("beforeend", "<img src=x onerror=alert(1)>"); },
      () => { Function("alert(1)")(); },
      () => { document.createElement("script").text = "alert(1)"; },
      () => { trustedTypes.createPolicy("mine", {}); },
      () => fetch("https://192.0.2.1/"),
    ].map(async (attempt) => { try { await attempt(); return "done"; } catch { return "stopped"; } }))`);
    expect(outcomes).toEqual(["stopped", "stopped", "stopped", "stopped", "stopped"]);
    expect(tab.complaints.filter((text) => !text.startsWith("policy: "))).toEqual([]);
    expect(tab.complaints.length).toBeGreaterThan(0);
  });

  inBrowser("reach no page that embeds this one", async () => {
    await using stand = await startPageStand();
    using outside = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () =>
        new Response(`<!doctype html><title>x</title><iframe src="${stand.url}/"></iframe>`, {
          headers: { "Content-Type": "text/html" },
        }),
    });
    const tab = await browser().open();
    await tab.go(outside.url.href);
    await tab.until("document.querySelector('iframe')");
    expect(await tab.evaluate("document.querySelector('iframe').contentDocument === null")).toBe(true);
    expect(tab.requests.filter((url) => url.startsWith(`${stand.url}/page/`))).toEqual([]);
  });
});
