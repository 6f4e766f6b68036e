import { describe, expect } from "bun:test";
import { join, resolve } from "node:path";
import { makeCertificate } from "../support/certificate.ts";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { needs, python } from "../support/needs.ts";
import { expectProgram, runProgram, startProgram } from "../support/program.ts";
import { allowLoopback, basic, startProxy, type TestProxy, waitFor } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

const docs = resolve(import.meta.dir, "../../docs");
const alerts = join(docs, "alerts.yml");
const tests = resolve(import.meta.dir, "../fixtures/prometheus/alerts-test.yml");

/** A proxy that has every family of metrics, and some counts in them. */
async function startMeasured(folder: string): Promise<TestProxy> {
  const { cert, key } = await makeCertificate();
  const closed = await reserveClosedPort();
  const proxy = await startProxy(
    {
      listen: [{ port: 0 }, { port: 0, tls: { cert: "cert.pem", key: "key.pem" } }],
      users: [{ name: "alice", password: "secret", limits: { bytes: { day: "1GB" } } }],
      state: { folder, redis: `redis://127.0.0.1:${closed}` },
      telemetry: { otlp: `http://127.0.0.1:${closed}`, sample: 1 },
      upstreams: {
        exits: { pool: [`http://127.0.0.1:${closed}`] },
        single: `http://127.0.0.1:${closed}`,
        corp: { pac: "proxy.pac" },
      },
      rules: [
        { name: "by pool", to: ["pool.example"], via: "exits", allow: true },
        { ...allowLoopback, name: 'odd "name"\\' },
      ],
    },
    { files: { "cert.pem": cert, "key.pem": key, "proxy.pac": 'function FindProxyForURL() { return "DIRECT"; }' } },
  );
  using echo = listenEcho();
  using origin = serveHttp(() => ok("page"));
  const login = basic("alice", "secret");
  const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`, login);
  peer.finish();
  await peer.untilEnd();
  await proxy.tunnel("pool.example:80", login);
  await proxy.tunnel("127.0.0.1:9");
  using client = await proxy.connect();
  client.write(ask("GET", origin.uri(), `Proxy-Authorization: ${login["Proxy-Authorization"]}\r\n`));
  await takeResponse(client);
  await proxy.record(3);
  return proxy;
}

/** Every expression of the dashboard and of the alerts, with values in the place of Grafana's variables. */
async function listExpressions(): Promise<string[]> {
  const found: string[] = [];
  JSON.stringify(await Bun.file(join(docs, "grafana-dashboard.json")).json(), (key, value: unknown) => {
    if (key === "expr") found.push(String(value));
    if (key === "definition") found.push(/^label_values\((.*), \w+\)$/.exec(String(value))?.[1] ?? "");
    return value;
  });
  const { groups } = Bun.YAML.parse(await Bun.file(alerts).text()) as { groups: { rules: { expr: string }[] }[] };
  const all = [...found, ...groups.flatMap(({ rules }) => rules.map(({ expr }) => expr))];
  return all.map((expr) => expr.replaceAll("$__rate_interval", "5m").replaceAll(/\$(job|instance)/g, ".+"));
}

/** The metrics that an expression asks for. */
function listMetrics(expr: string): string[] {
  const names = expr.match(/\b(?:penstock|process)_\w+/g) ?? [];
  // Whatever stands before braces or a range is a metric, too.
  const selected = Array.from(expr.matchAll(/(\w+)\s*[{[]/g), ([, name = ""]) => name);
  return [...new Set([...names, ...selected])];
}

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data: unknown;
}

describe("Prometheus", () => {
  needs("promtool")("finds nothing to complain about in the metrics, and in the alerts and their tests", async () => {
    await using folder = await makeFolder();
    await using proxy = await startMeasured(join(folder.path, "state"));
    const text = await proxy.metrics();
    expect(await runProgram(["promtool", "check", "metrics"], { input: text })).toEqual({
      code: 0,
      stdout: "",
      stderr: "",
    });
    await expectProgram(["promtool", "check", "rules", alerts]);
    await expectProgram(["promtool", "test", "rules", tests]);
    const named = (file: string) => Bun.file(file).text();
    const known = Array.from((await named(alerts)).matchAll(/- alert: (\w+)/g), ([, name]) => name);
    const tested = Array.from((await named(tests)).matchAll(/- name: (\w+)/g), ([, name]) => name);
    expect(tested).toEqual(known);
  });

  needs("python3-prometheus_client")("is not alone in reading OpenMetrics", async () => {
    await using folder = await makeFolder();
    await using proxy = await startMeasured(join(folder.path, "state"));
    const response = await fetch(`http://127.0.0.1:${proxy.daemon.sidecar?.port}/metrics`, {
      headers: { Authorization: "Bearer scenario-token", Accept: "application/openmetrics-text" },
    });
    expect(response.headers.get("Content-Type")).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
    // Its parser is the strict one of the specification.
    const script = [
      "import sys, json",
      "from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse",
      "samples = [s for f in parse(sys.stdin.read()) for s in f.samples]",
      "print(json.dumps([[s.name, s.labels, s.exemplar.labels] for s in samples if s.exemplar]))",
    ].join("\n");
    const read = await expectProgram([python, "-c", script], { input: await response.text() });
    const ids = proxy.records.map(({ id }) => id);
    const exemplars = JSON.parse(read) as [string, Record<string, string>, Record<string, string>][];
    const names = new Set(exemplars.map(([name]) => name));
    for (const name of ["penstock_stage_seconds_bucket", "penstock_failures_total", "penstock_upstream_failures_total"])
      expect(names).toContain(name);
    for (const [, , labels] of exemplars) {
      expect(ids).toContain(labels["connection_id"]);
      expect(labels["trace_id"]).toMatch(/^[0-9a-f]{32}$/);
    }
  });

  needs("prometheus")("scrapes the proxy, and knows every metric of the dashboard and of the alerts", async () => {
    await using folder = await makeFolder();
    await using proxy = await startMeasured(join(folder.path, "state"));
    const port = await reserveClosedPort();
    const config = {
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: [alerts],
      scrape_configs: [
        {
          job_name: "penstock",
          authorization: { credentials: "scenario-token" },
          static_configs: [{ targets: [`127.0.0.1:${proxy.daemon.sidecar?.port}`] }],
        },
      ],
    };
    await Bun.write(join(folder.path, "prometheus.yml"), JSON.stringify(config));
    await using _ = startProgram([
      "prometheus",
      `--config.file=${join(folder.path, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder.path, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--enable-feature=exemplar-storage",
    ]);
    const query = async (path: string): Promise<Answer> => {
      const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`);
      return (await response.json()) as Answer;
    };
    const tryTo = (path: string) => query(path).catch(() => undefined);
    let target: unknown;
    await waitFor(async () => {
      const data = (await tryTo("targets"))?.data as { activeTargets: { health: string; lastError: string }[] };
      target = data?.activeTargets[0];
      return data?.activeTargets.some(({ health }) => health === "up");
    }, "the first scrape").catch((error: unknown) => {
      throw new Error(`${String(error)}: ${JSON.stringify(target)}`);
    });

    // Some metrics have no sample before something rare has happened.
    const declared = (await proxy.metrics()).matchAll(/^# TYPE (\w+) (?:counter|gauge)$/gm);
    const scraped = (await query("label/__name__/values")).data as string[];
    const names = new Set([...scraped, ...Array.from(declared, ([, name = ""]) => name)]);
    const expressions = await listExpressions();
    expect(expressions.length).toBeGreaterThan(60);
    for (const expr of expressions) {
      const answer = await query(`query?query=${encodeURIComponent(expr)}`);
      expect([expr, answer.status, answer.error]).toEqual([expr, "success", undefined]);
      for (const name of listMetrics(expr)) expect([expr, name, names.has(name)]).toEqual([expr, name, true]);
    }
    const rules = await waitFor(async () => {
      const { groups } = (await query("rules")).data as { groups: { rules: { health: string; name: string }[] }[] };
      const all = groups.flatMap((group) => group.rules);
      return all.every(({ health }) => health !== "unknown") && all;
    }, "the first evaluation");
    expect(rules.filter(({ health }) => health !== "ok")).toEqual([]);

    const since = Date.now() / 1000 - 600;
    const asked = `query=penstock_stage_seconds_bucket&start=${since}&end=${Date.now() / 1000 + 60}`;
    const { data } = await query(`query_exemplars?${asked}`);
    const ids = (data as { exemplars: { labels: Record<string, string> }[] }[]).flatMap(({ exemplars }) =>
      exemplars.map(({ labels }) => labels["connection_id"]),
    );
    expect(ids.length).toBeGreaterThan(0);
    expect(proxy.records.map(({ id }) => id)).toEqual(expect.arrayContaining(ids));
  });
});
