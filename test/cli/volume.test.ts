import { describe, expect, test } from "bun:test";
import { openTunnel } from "../support/ask-tunnel.ts";
import { type ServingExecutable, startExecutable } from "../support/executable.ts";
import { makeKeystream } from "../support/keystream.ts";
import { needs } from "../support/needs.ts";
import { expectProgram, findProgram, makeEnvironment } from "../support/program.ts";
import { listenRaw, type RawPeer } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { startTlsOrigin } from "../support/tls-origin.ts";

const MiB = 1024 * 1024;
const BULK = 256 * MiB;
const FLOOD = 128 * MiB;

/** What a tunnel may add to the memory of the proxy while one side does not read. */
const GROWTH = 16 * MiB;

/** What is left to collect when the rest went through at full speed; the same for any volume. */
const GROWTH_AT_SPEED = 48 * MiB;

const config = { listen: ["127.0.0.1:0"], rules: [{ to: ["127.0.0.1"], allowPrivate: true }], warmUp: "off" };

describe("256 MiB through the executable to a TLS server", () => {
  needs("curl", "node", "openssl")(
    "arrive byte by byte as they were sent, each way",
    async () => {
      await using folder = await makeFolder({ "proxy.config.json": config });
      await using origin = await startTlsOrigin();
      await using proxy = await startExecutable({ cwd: folder.path });
      const curl = ["-sS", "--fail", "--cacert", origin.caFile, "-x", `http://127.0.0.1:${proxy.port}`];
      const expected = hashOf(makeKeystream(BULK));

      const download = Bun.spawn([findProgram("curl") ?? "curl", ...curl, `${origin.url}/bytes/${BULK}`], {
        env: makeEnvironment(),
        stdin: "ignore",
      });
      const hasher = new Bun.CryptoHasher("sha256");
      for await (const chunk of download.stdout) hasher.update(chunk);
      expect(await download.exited).toBe(0);
      expect(hasher.digest("hex")).toBe(expected);

      const file = `${folder.path}/bulk`;
      const writer = Bun.file(file).writer();
      for (const chunk of makeKeystream(BULK)) {
        await writer.write(chunk);
      }
      await writer.end();
      const answer = await expectProgram(["curl", ...curl, "-T", file, `${origin.url}/digest`]);
      expect(JSON.parse(answer)).toEqual({ bytes: BULK, sha256: expected });

      await proxy.record((record) => Number(record["bytes_down"]) > BULK);
      await proxy.record((record) => Number(record["bytes_up"]) > BULK);
    },
    300_000,
  );
});

describe("a writer that floods a reader which reads nothing", () => {
  test.each(["up", "down"] as const)("costs the executable a bounded memory, %s", async (way) => {
    await using folder = await makeFolder({ "proxy.config.json": config });
    using origin = listenRaw();
    await using proxy = await startExecutable({ cwd: folder.path });
    using client = await openTunnel(proxy.port, `127.0.0.1:${origin.port}`);
    const target = await origin.next();
    const [writer, reader] = way === "up" ? [client, target] : [target, client];
    reader.pause();
    const before = await proxy.readRss();
    const pieces = Array.from(makeKeystream(FLOOD));
    for (const piece of pieces) writer.write(piece);
    writer.finish();

    const peak = await watchUntilStuck(writer, proxy);
    expect(writer.unwrittenBytes).toBeGreaterThan(FLOOD / 2);
    expect(peak - before).toBeLessThan(GROWTH);

    const hasher = new Bun.CryptoHasher("sha256");
    reader.consume = (chunk) => hasher.update(chunk);
    reader.resume();
    await reader.untilEnd();
    expect(reader.end).toBe("fin");
    expect(reader.receivedBytes).toBe(FLOOD);
    expect(hasher.digest("hex")).toBe(hashOf(pieces));
    expect((await proxy.readRss()) - before).toBeLessThan(GROWTH_AT_SPEED);
  });
});

function hashOf(chunks: Iterable<Uint8Array>): string {
  const hasher = new Bun.CryptoHasher("sha256");
  for (const chunk of chunks) hasher.update(chunk);
  return hasher.digest("hex");
}

/** Looks at the memory of the proxy until the writer gets rid of nothing any more; gives the most that was seen. */
async function watchUntilStuck(writer: RawPeer, proxy: ServingExecutable): Promise<number> {
  let peak = 0;
  let last = -1;
  for (let unchanged = 0; unchanged < 20; unchanged = last === writer.unwrittenBytes ? unchanged + 1 : 0) {
    last = writer.unwrittenBytes;
    await Bun.sleep(10);
    peak = Math.max(peak, await proxy.readRss());
  }
  return peak;
}
