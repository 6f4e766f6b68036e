import { beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nameCipherSuite, nameExtension, nameGroup, nameSignatureScheme } from "../../src/protocol/tls/read/iana.ts";
import { synthesiseCapture, type CapturedConnection } from "../support/synthesise-capture.ts";
import { collect, factsOfOurs, factsOfTshark, type Json, numbers } from "../support/tls-facts.ts";
import { listTlsFixtures, loadTlsFixture, watchAll } from "../support/tls-fixture.ts";

/** Runs a program of Wireshark on a capture and gives what it printed. */
async function runOn(program: string, args: readonly string[], capture: Uint8Array): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "penstock-tshark-"));
  try {
    const file = join(folder, "capture.pcapng");
    await Bun.write(file, capture);
    const child = Bun.spawn([program, ...args.map((arg) => (arg === "FILE" ? file : arg))], { stderr: "pipe" });
    const [output, errors, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (code !== 0) throw new Error(`${program} ended with ${code}: ${errors}`);
    return output;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** tshark does not look into the parameters that follow a hint. */
const UNREAD_BY_TSHARK = new Set(["openssl-tls12-ecdhe-psk", "openssl-tls12-dhe-psk"]);

const names = listTlsFixtures();
const fixtures = names.map(loadTlsFixture);
const connections: CapturedConnection[] = fixtures.map(({ segments }, index) => ({
  segments,
  ipv6: index % 2 === 1,
  // Both sides wrap around early.
  firstSequence: { client: 2 ** 32 - 100, server: 2 ** 32 - 1_000 },
}));

if (Bun.which("tshark") === null)
  test("the comparison with tshark needs tshark, which CI must have", () => {
    expect(process.env["CI"]).not.toBe("true");
  });
else
  describe("a capture, as tshark reads it,", () => {
    /** The TLS layers of one direction of one connection, in order. */
    let layersOf: (index: number, side: "client" | "server") => Json[];
    beforeAll(async () => {
      const args = ["-r", "FILE", "-T", "json", "--no-duplicate-keys", "-J", "tcp tls"];
      const packets = JSON.parse(await runOn("tshark", args, synthesiseCapture(connections))) as Json;
      const directions = Map.groupBy(collect(packets, "layers"), (layers) => {
        const [source] = numbers(layers, "tcp.srcport");
        const [stream] = numbers(layers, "tcp.stream");
        return `${stream} ${source === 443 ? "server" : "client"}`;
      });
      layersOf = (index, side) => directions.get(`${index} ${side}`) ?? [];
    });

    describe.each(names.map((name, index) => [name, index] as const))("has in %s", (name, index) => {
      test.each(["client", "server"] as const)("the handshake messages of the %s that we read", (side) => {
        const theirs = collect(layersOf(index, side), "tls.handshake")
          .filter((message) => numbers(message, "tls.handshake.type").length > 0)
          .map(factsOfTshark);
        const ours = watchAll(side, loadTlsFixture(name)[side]).flatMap((event) =>
          event.kind === "handshake" ? [factsOfOurs(event.message)] : [],
        );
        if (!UNREAD_BY_TSHARK.has(name)) expect(ours).toEqual(theirs);
        else expect(ours.map(({ type }) => type)).toEqual(theirs.map(({ type }) => type));
      });

      test.each(["client", "server"] as const)("the other records of the %s that we count", (side) => {
        const records = collect(layersOf(index, side), "tls.record");
        const lengthsOf = (type: number) =>
          records
            .filter(
              (record) =>
                numbers(record, "tls.record.content_type").concat(numbers(record, "tls.record.opaque_type"))[0] ===
                type,
            )
            .flatMap((record) => numbers(record, "tls.record.length"));
        const events = watchAll(side, loadTlsFixture(name)[side]);
        expect(events.flatMap((event) => (event.kind === "application_data" ? [event.length] : []))).toEqual(
          lengthsOf(23),
        );
        expect(events.filter(({ kind }) => kind === "change_cipher_spec")).toHaveLength(lengthsOf(20).length);
        const alerts = events.filter(
          (event) => event.kind === "alert" || (event.kind === "encrypted" && event.content === "alert"),
        );
        expect(alerts).toHaveLength(lengthsOf(21).length);
        const clear = events.flatMap((event) => (event.kind === "alert" ? [event.level, event.description] : []));
        expect(clear).toEqual([
          ...numbers(records, "tls.alert_message.level"),
          ...numbers(records, "tls.alert_message.desc"),
        ]);
      });
    });

    test("gives back the exact bytes of every stream", async () => {
      const follow = connections.flatMap((_, index) => ["-z", `follow,tcp,raw,${index}`]);
      const output = await runOn("tshark", ["-r", "FILE", "-q", ...follow], synthesiseCapture(connections));
      const streams = output.split("Follow: tcp,raw").slice(1);
      expect(streams).toHaveLength(fixtures.length);
      for (const text of streams) {
        const fixture = fixtures[Number(/tcp\.stream eq (\d+)/.exec(text)?.[1])];
        const lines = text.split("\n").filter((line) => /^\t?[0-9a-f]+$/.test(line));
        const of = (indented: boolean) =>
          lines
            .filter((line) => line.startsWith("\t") === indented)
            .join("")
            .replaceAll("\t", "");
        expect(of(false)).toBe(fixture?.client.toHex() ?? "no such stream");
        expect(of(true)).toBe(fixture?.server.toHex() ?? "no such stream");
      }
    });

    test("raises no warning and has valid checksums, also with segments of a megabyte", async () => {
      const large = new Uint8Array(1_000_000).map((_, index) => index % 251);
      const more: CapturedConnection[] = [
        {
          segments: [
            { from: "server", bytes: large },
            { from: "client", bytes: large },
          ],
        },
        { ipv6: true, segments: [{ from: "client", bytes: large.subarray(0, 99_999) }] },
      ];
      const output = await runOn(
        "tshark",
        ["-r", "FILE", "-q", "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-z", "expert,warn"],
        synthesiseCapture([...connections, ...more]),
      );
      expect(output.trim()).toBe("");
    });

    test("is known to be damaged when one byte of it is", async () => {
      const capture = synthesiseCapture(connections.slice(0, 1));
      const at = Buffer.from(capture).indexOf("server.example");
      capture[at] = 0x53;
      const output = await runOn(
        "tshark",
        ["-r", "FILE", "-q", "-o", "tcp.check_checksum:TRUE", "-z", "expert,warn"],
        capture,
      );
      expect(output).toContain("Bad checksum");
    });

    test("shows decrypted HTTP with the key log that it carries", async () => {
      const secret = fixtures.filter(({ keylog }) => keylog !== undefined);
      const capture = synthesiseCapture(secret, secret.map(({ keylog }) => keylog).join(""));
      const output = await runOn(
        "tshark",
        [
          "-r",
          "FILE",
          "-o",
          "http.desegment_body:FALSE",
          "-Y",
          "http",
          "-T",
          "fields",
          "-e",
          "http.request.method",
          "-e",
          "http.response.code",
        ],
        capture,
      );
      expect(
        output
          .split("\n")
          .map((line) => line.trim())
          .filter(Boolean),
      ).toEqual(["GET", "200", "GET", "200"]);
    });

    test("is described by capinfos as it was written", async () => {
      const output = await runOn("capinfos", ["-M", "FILE"], synthesiseCapture(connections));
      const line = (label: string) =>
        new RegExp(`^ *${label}[:=] *(.*)$`, "m").exec(output.replaceAll(" = ", "= "))?.[1];
      expect(line("File type")).toContain("pcapng");
      expect(line("Capture application")).toBe("Penstock");
      expect(line("Strict time order")).toBe("True");
      expect(line("Name")).toBe("client");
      expect(line("Time resolution")).toBe("0x09");
      expect(output).toContain("2023-11-14 22:13:20.123456789");
    });

    test("uses the names that tshark has, wherever both have one", async () => {
      const output = await runOn("tshark", ["-G", "values"], new Uint8Array(0));
      const tables: Record<string, (code: number) => string> = {
        "tls.handshake.ciphersuite": nameCipherSuite,
        "tls.handshake.extensions_supported_group": nameGroup,
        "tls.handshake.sig_hash_alg": nameSignatureScheme,
        "tls.handshake.extension.type": nameExtension,
      };
      // IANA renamed these, and gave numbers that were used without asking to others.
      const renamed =
        /GREASE|extended_ma|delegated_credential|application_settings|^Reserved|connection_id|channel_id|frodo/;
      let same = 0;
      for (const line of output.split("\n")) {
        const [, field = "", code = "", theirs = ""] = line.split("\t");
        const ours = tables[field]?.(Number(code)) ?? "0x";
        if (ours.startsWith("0x") || renamed.test(theirs)) continue;
        expect(`${code} ${ours}`).toBe(`${code} ${theirs}`);
        same++;
      }
      expect(same).toBeGreaterThan(400);
    });
  });
