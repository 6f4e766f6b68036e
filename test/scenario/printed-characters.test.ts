import { describe, expect, test } from "bun:test";
import { explainTarget } from "../../src/explain/explain-target.ts";
import { runCli } from "../../src/cli/run-cli.ts";
import { listSteps } from "../../src/cli/trace/list-steps.ts";
import { Recording } from "../../src/cli/trace/recording.ts";
import { writeTraceJson } from "../../src/cli/trace/write-json.ts";
import { writeTraceMermaid } from "../../src/cli/trace/write-mermaid.ts";
import { writeTraceText } from "../../src/cli/trace/write-text.ts";
import { createPaint } from "../../src/cli/style.ts";
import { grantAll } from "../support/sidecar-tokens.ts";
import { HookReporter } from "../../src/proxy/record/hook-reporter.ts";
import { formatJsonLine, formatTextLine } from "../../src/proxy/record/access-line.ts";
import { buildAccessRecord } from "../../src/proxy/record/access-record.ts";
import { BugReporter } from "../../src/proxy/record/bug-reporter.ts";
import { createSidecarApp } from "../../src/sidecar/sidecar-app.ts";
import { findHostile, hostileTexts } from "../fixtures/hostile-texts.ts";
import { compileForTest } from "../support/compile-for-test.ts";
import { runExecutable } from "../support/executable.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { makeEndpoint } from "../support/make-endpoint.ts";
import { makeIp } from "../support/make-policy.ts";
import { makeRequestRecord } from "../support/make-record.ts";
import { makeTrace } from "../support/make-trace.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const authorised = { headers: { Authorization: "Bearer t" } };

/** By number, for the names of tests are printed, too. */
const numbered = hostileTexts.map((text, index) => [index, text] as const);

describe.each(numbered)("no character that a terminal minds is printed raw, text %i:", (_, text) => {
  test("by the sidecar", async () => {
    const flow = {
      kind: "request",
      id: "k-1",
      listener: "127.0.0.1:8080",
      client: "10.0.0.9:50123",
      user: text,
      method: text,
      target: text,
      rule: text,
      route: text,
      startedAt: "",
      ageMs: 1,
      bytesUp: 0,
      bytesDown: 0,
    } as const;
    const app = createSidecarApp(
      {
        readiness: () => ({ ready: true }),
        effectiveConfig: () => ({ [text]: text }),
        metricsText: () => "",
        tunnels: () => [flow],
        kill: () => 0,
      },
      { tokens: grantAll("t") },
    );
    const query = encodeURIComponent(text.toWellFormed());
    for (const path of ["/tunnels", "/config", `/tunnels?host=${query}`, `/tunnels?${query}=1`, `/${query}`])
      expect(findHostile(await (await app.request(path, authorised)).text())).toBeUndefined();
    const { tunnels } = (await (await app.request("/tunnels", authorised)).json()) as { tunnels: { user: string }[] };
    expect(tunnels[0]?.user).toBe(text);
  });

  test("in the access log", () => {
    const session = makeRequestRecord({
      user: text,
      method: text,
      failure: { detail: "dns_error", note: text, nextHop: text },
    });
    const record = buildAccessRecord(session, 0);
    for (const line of [formatJsonLine(record), formatTextLine(record)]) expect(findHostile(line)).toBeUndefined();
  });

  test("by explain", async () => {
    const rules = [
      () => {
        throw new Error(text);
      },
    ];
    const compiled = compileForTest({ rules });
    const question = { client: makeIp("127.0.0.1"), user: text, target: makeEndpoint("gone.example:443") };
    const lines = await explainTarget(compiled, createFakeResolver({ "gone.example": "dns_error" }), question);
    for (const line of lines) expect(findHostile(line)).toBeUndefined();
  });

  test("by trace, in every form", () => {
    const inside = new Recording();
    inside.add(9, "client", Buffer.from("GET / HTTP/1.0\r\n\r\n"));
    inside.add(9.5, "server", Buffer.from(`HTTP/1.0 200 ok\r\nX-Hostile: ${text.replaceAll(/[\r\n\0]/g, "")}\r\n\r\n`));
    const failure = { stage: "connect", at: 1, text } as const;
    const record = makeTrace(undefined, { http: inside, failure });
    const description = listSteps(record, { roots: [], source: text, now: record.startedAt });
    for (const write of [writeTraceJson, writeTraceMermaid])
      expect(findHostile(write(record, description))).toBeUndefined();
    expect(findHostile(writeTraceText(record, description, createPaint("plain")))).toBeUndefined();
  });

  test("in reports of functions and mistakes", () => {
    const messages: string[] = [];
    const tell = (message: string) => void messages.push(message);
    const error = new Error(text);
    error.name = text;
    error.stack = `x\n    at ${text.replaceAll("\n", "")}:1:2`;
    new BugReporter({ tell }).report("A mistake", error);
    new BugReporter({ tell }).report("A mistake", text);
    new HookReporter(tell).report({ hook: text, fault: { why: "threw" } });
    expect(messages).toHaveLength(3);
    for (const message of messages) expect(findHostile(message)).toBeUndefined();
  });

  test("by check", async () => {
    await using folder = await makeFolder({
      "proxy.config.json": { sidecar: { unix: `/run/${text.replaceAll(/\p{Cc}/gu, "")}` } },
    });
    const io = createFakeIo({ folder: folder.path });
    expect(await runCli(["check"], io)).toBe(0);
    expect(findHostile(io.printed())).toBeUndefined();
  });
});

test("the executable escapes what it was given in its messages", async () => {
  await using folder = await makeFolder();
  // No argument can hold NUL or half a character.
  const texts = hostileTexts.map((text) => text.replaceAll("\0", "").toWellFormed());
  for (const text of texts) {
    const runs = [
      ["serve", "--config", `/nonexistent/${text}`],
      ["explain", text],
      ["capture", "--sidecar", `unix:/nonexistent/${text}`, "--token", "t"],
      [`--${text}`],
      [text],
    ];
    for (const { stdout, stderr, code } of await Promise.all(
      runs.map((args) => runExecutable(args, { cwd: folder.path })),
    )) {
      expect(code).not.toBe(0);
      expect(findHostile(stderr + stdout)).toBeUndefined();
    }
  }
});
