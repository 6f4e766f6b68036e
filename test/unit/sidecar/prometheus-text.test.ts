import { describe, expect, test } from "bun:test";
import { formatFamilies } from "../../../src/sidecar/prometheus-text.ts";

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
