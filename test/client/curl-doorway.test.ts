import { describe, expect } from "bun:test";
import { needs } from "../support/needs.ts";
import { runProgram } from "../support/program.ts";
import { startProxy } from "../support/proxy.ts";
import { listenEcho, listenRaw } from "../support/raw-peer.ts";

/** A server that answers every request with `ok`. */
function listenOk() {
  return listenRaw((peer) => {
    peer.consume = (chunk) => {
      if (Buffer.from(chunk).toString("latin1").endsWith("\r\n\r\n"))
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n");
    };
  });
}

function curl(...args: string[]) {
  return runProgram(["curl", "-sS", "--max-time", "20", ...args]);
}

describe("curl", () => {
  for (const tunnel of [[], ["--proxytunnel"]])
    needs("curl")(`--proxy-digest gets through${tunnel.length > 0 ? " with a tunnel" : ""}`, async () => {
      using origin = listenOk();
      await using proxy = await startProxy({
        users: [{ name: "alice", password: "s3cret" }],
        auth: { schemes: ["digest"] },
      });
      const url = `http://127.0.0.1:${origin.port}/path?query=1`;
      const through = ["-x", `http://127.0.0.1:${proxy.port}`, "--proxy-digest", ...tunnel];
      expect(await curl(...through, "-U", "alice:s3cret", url, url)).toEqual({
        code: 0,
        stdout: "ok\nok\n",
        stderr: "",
      });
      const wrong = await curl(
        ...through,
        "-U",
        "alice:wrong",
        "-w",
        "%{http_code} %{http_connect}",
        "-o",
        "/dev/null",
        url,
      );
      expect(wrong.stdout).toContain("407");
    });

  needs("curl")("--proxy-anyauth chooses Digest where Basic is offered beside it", async () => {
    using origin = listenOk();
    await using proxy = await startProxy({
      users: [{ name: "alice", password: "s3cret" }],
      auth: { schemes: ["basic", "digest"] },
    });
    const ran = await curl(
      ...["-v", "-x", `http://127.0.0.1:${proxy.port}`, "--proxy-anyauth", "-U", "alice:s3cret"],
      `http://127.0.0.1:${origin.port}/`,
    );
    expect(ran.stdout).toBe("ok\n");
    expect(ran.stderr).toContain("Proxy-Authorization: Digest ");
    expect(ran.stderr).not.toContain("Proxy-Authorization: Basic ");
  });

  needs("curl")("--haproxy-protocol introduces itself, and has to where it is listed", async () => {
    using origin = listenOk();
    await using proxy = await startProxy({ open: true, listen: [{ port: 0, proxyProtocol: ["127.0.0.1"] }] });
    const through = ["-x", `http://127.0.0.1:${proxy.port}`];
    const url = `http://127.0.0.1:${origin.port}/`;
    expect(await curl(...through, "--haproxy-protocol", url)).toMatchObject({ code: 0, stdout: "ok\n" });
    expect(String((await proxy.record())["client"])).toStartWith("127.0.0.1:");
    const without = await curl(...through, "-w", "%{http_code}", url);
    expect(without.stdout).toContain("proxy_header_missing");
    expect(without.stdout).toEndWith("400");
  });

  needs("curl")("is refused in its own protocol by a listener that does not serve it", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ listen: [{ port: 0, protocols: ["http"] }] });
    for (const scheme of ["socks5", "socks4"]) {
      const ran = await curl("-x", `${scheme}://127.0.0.1:${proxy.port}`, `http://127.0.0.1:${echo.port}/`);
      // 97: the proxy said no; curl has no other word for it.
      expect(ran.code).toBe(97);
    }
  });
});
