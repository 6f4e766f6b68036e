import { expect } from "bun:test";
import { join } from "node:path";
import type { TemporaryFolder } from "../support/temporary-folder.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { serveHttp } from "../support/http-origin.ts";
import { needs } from "../support/needs.ts";
import { expectProgram, runProgram } from "../support/program.ts";
import { basic, startProxy } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";

/** What the client sends and gets back over each tunnel. */
const TUNNEL_BYTES = 1000;
const TUNNELS = { alice: 6, bob: 2 } as const;
const REFUSED = 3;
const FORWARDED = 4;
const RESPONSE = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const REQUESTS = TUNNELS.alice + TUNNELS.bob + REFUSED + FORWARDED;

/** Makes an access log in that form, of traffic that is known, and gives its path and the bytes that clients were sent. */
async function makeLog(
  folder: TemporaryFolder,
  access: "squid" | "combined",
): Promise<{ path: string; bytes: number }> {
  const path = join(folder.path, "access.log");
  using echo = listenEcho();
  using origin = serveHttp(() => RESPONSE);
  const users = Object.keys(TUNNELS).map((name) => ({ name, password: "secret" }));
  let bytes = 0;
  {
    await using proxy = await startProxy({ users, log: { access, file: path } });
    for (const [user, count] of Object.entries(TUNNELS))
      for (let tunnel = 0; tunnel < count; tunnel += 1) {
        const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`, basic(user, "secret"));
        peer.write("x".repeat(TUNNEL_BYTES));
        await peer.untilText("x".repeat(TUNNEL_BYTES));
        peer[Symbol.dispose]();
        bytes += TUNNEL_BYTES;
      }
    for (let request = 0; request < REFUSED; request += 1) {
      const { peer } = await proxy.tunnel("10.0.0.1:443", basic("alice", "secret"));
      peer[Symbol.dispose]();
    }
    const fields = Object.entries(basic("bob", "secret")).map(([name, value]) => `${name}: ${value}\r\n`);
    for (let request = 0; request < FORWARDED; request += 1) {
      const answer = await proxy.exchange(
        `GET ${origin.uri()} HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n${fields.join("")}Connection: close\r\n\r\n`,
      );
      expect(answer).toEndWith("hello");
      bytes += answer.length;
    }
  }
  return { path, bytes };
}

/** The numbers in the first line of a report that begins with `name`. */
function readNumbers(report: string, name: string): number[] {
  const line = report.split("\n").find((each) => each.trimStart().startsWith(name));
  return [...(line ?? "").slice((line ?? "").indexOf(name) + name.length).matchAll(/\d+(?:\.\d+)?/g)].map(Number);
}

needs("calamaris")("calamaris counts requests, methods, results and bytes of a log in Squid's format", async () => {
  await using folder = await makeFolder();
  const { path, bytes } = await makeLog(folder, "squid");
  const { code, stdout } = await runProgram(["calamaris", "-a", "-F", "unformatted"], {
    input: await Bun.file(path).text(),
  });
  expect(code).toBe(0);
  expect(readNumbers(stdout, "lines parsed:")).toEqual([REQUESTS]);
  expect(readNumbers(stdout, "invalid lines:")).toEqual([0]);
  expect(readNumbers(stdout, "Total amount: requests")).toEqual([REQUESTS]);
  expect(readNumbers(stdout, "Total Bandwidth: Byte")).toEqual([bytes]);
  expect(readNumbers(stdout, "GET")[0]).toBe(FORWARDED);
  expect(readNumbers(stdout, "CONNECT")[0]).toBe(REQUESTS - FORWARDED);
  expect(readNumbers(stdout, "TCP_TUNNEL")[0]).toBe(TUNNELS.alice + TUNNELS.bob);
  expect(readNumbers(stdout, "TCP_DENIED")[0]).toBe(REFUSED);
});

needs("sarg")("sarg counts the requests of each user in a log in Squid's format", async () => {
  await using folder = await makeFolder();
  const { path } = await makeLog(folder, "squid");
  await expectProgram(["sarg", "-l", path, "-o", join(folder.path, "report")]);
  const [index = ""] = [...new Bun.Glob("report/*/index.html").scanSync(folder.path)];
  const text = (await folder.read(index)).replaceAll(/<[^>]*>|&nbsp;/g, " ");
  expect(/ alice +(\d+) /.exec(text)?.[1]).toBe(String(TUNNELS.alice + REFUSED));
  expect(/ bob +(\d+) /.exec(text)?.[1]).toBe(String(TUNNELS.bob + FORWARDED));
});

needs("goaccess")("goaccess counts requests, bytes and clients of a log in the combined format", async () => {
  await using folder = await makeFolder();
  const { path, bytes } = await makeLog(folder, "combined");
  const report = join(folder.path, "report.json");
  await expectProgram(["goaccess", path, "--log-format=COMBINED", "--no-global-config", "-o", report]);
  const { general, hosts } = JSON.parse(await folder.read("report.json")) as {
    general: Record<string, unknown>;
    hosts: { data: { data: string; hits: { count: number } }[] };
  };
  expect(general).toMatchObject({ valid_requests: REQUESTS, failed_requests: 0, bandwidth: bytes });
  expect(hosts.data.map(({ data, hits }) => [data, hits.count])).toEqual([["127.0.0.1", REQUESTS]]);
});
