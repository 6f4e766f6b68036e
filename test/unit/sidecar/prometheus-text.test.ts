import { describe, expect, test } from "bun:test";
import { formatBound, formatFamilies, formatOpenMetrics } from "../../../src/sidecar/prometheus-text.ts";

describe("formatFamilies()", () => {
  test("writes help, type and samples of each family", () => {
    const text = formatFamilies([
      {
        name: "a_total",
        type: "counter",
        help: "Things.",
        samples: [{ value: 3 }, { labels: { kind: "x", of: "y" }, value: 0.5 }],
      },
      { name: "b", type: "gauge", help: "Now.", samples: [] },
    ]);
    expect(text).toBe(
      [
        "# HELP a_total Things.",
        "# TYPE a_total counter",
        "a_total 3",
        'a_total{kind="x",of="y"} 0.5',
        "# HELP b Now.",
        "# TYPE b gauge",
        "",
      ].join("\n"),
    );
  });

  test("escapes what would end a label or a line", () => {
    const text = formatFamilies([
      { name: "a", type: "gauge", help: "Back\\slash\nline", samples: [{ labels: { x: 'q"b\\n\n' }, value: 1 }] },
    ]);
    expect(text).toContain("# HELP a Back\\\\slash\\nline\n");
    expect(text).toContain('a{x="q\\"b\\\\n\\n"} 1\n');
  });

  test("spells the infinities as Prometheus does", () => {
    const text = formatFamilies([
      { name: "a", type: "gauge", help: "", samples: [{ value: Infinity }, { value: -Infinity }] },
    ]);
    expect(text).toContain("a +Inf\na -Inf\n");
  });

  test("puts suffixes of histograms behind the name", () => {
    const text = formatFamilies([
      { name: "h", type: "histogram", help: "", samples: [{ suffix: "_bucket", labels: { le: "1" }, value: 2 }] },
    ]);
    expect(text).toContain('h_bucket{le="1"} 2\n');
  });
});

describe("formatOpenMetrics()", () => {
  const exemplar = { labels: { connection_id: "a-1" }, value: 0.25, at: 1_700_000_000.5 };

  test("names the family of a counter without its suffix, shows exemplars, and ends with EOF", () => {
    const text = formatOpenMetrics([
      { name: "a_total", type: "counter", help: 'Say "a".', samples: [{ labels: { x: "y" }, value: 3, exemplar }] },
      { name: "b", type: "gauge", help: "Now.", samples: [{ value: 1 }] },
    ]);
    expect(text).toBe(
      [
        '# HELP a Say \\"a\\".',
        "# TYPE a counter",
        'a_total{x="y"} 3 # {connection_id="a-1"} 0.25 1700000000.500',
        "# HELP b Now.",
        "# TYPE b gauge",
        "b 1",
        "# EOF",
        "",
      ].join("\n"),
    );
  });

  test("leaves exemplars to OpenMetrics, and writes bounds the same in both forms", () => {
    expect(
      formatFamilies([{ name: "a_total", type: "counter", help: "", samples: [{ value: 3, exemplar }] }]),
    ).toContain("a_total 3\n");
    expect([0.0001, 0.5, 1, 86_400].map(formatBound)).toEqual(["0.0001", "0.5", "1.0", "86400.0"]);
  });
});
