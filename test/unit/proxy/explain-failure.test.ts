import { describe, expect, test } from "bun:test";
import { explainFailure } from "../../../src/proxy/explain-failure.ts";
import { describeFailure, listFailureDetails } from "../../../src/proxy/failure.ts";

describe("explainFailure()", () => {
  test("blames the target for what is not about an upstream", () => {
    expect(explainFailure({ detail: "connection_refused" })).toBe("The target refused the connection.");
    expect(explainFailure({ detail: "dns_error", note: "ENOTFOUND" })).toBe("The name of the target does not resolve.");
  });

  test("names the upstream that failed, and never calls it the target", () => {
    expect(explainFailure({ detail: "dns_error", nextHop: "corp" })).toBe(
      "The name of the upstream corp does not resolve.",
    );
    expect(explainFailure({ detail: "upstream_refused", nextHop: "corp" })).toBe(
      "The upstream corp refused the tunnel.",
    );
    const aboutPeers = listFailureDetails().filter((detail) =>
      ["destination", "upstream"].includes(describeFailure(detail).blame),
    );
    for (const detail of aboutPeers) {
      const text = explainFailure({ detail, nextHop: "corp" });
      expect(text).not.toMatch(/target|next hop/i);
      if (detail !== "no_upstream") expect(text).toContain("corp");
    }
  });

  test("says of the target, or of the next upstream, what an upstream reports of it", () => {
    const reported = { detail: "connection_refused", nextHop: "exits/a", isReported: true } as const;
    expect(explainFailure(reported)).toBe("The target refused the connection, as the upstream exits/a reports.");
    expect(explainFailure({ ...reported, culprit: "next" })).toBe(
      "The upstream next refused the connection, as the upstream exits/a reports.",
    );
  });

  test("names the name server when it is that which failed", () => {
    for (const note of ["ESERVFAIL", "EREFUSED", "ECONNREFUSED"]) {
      expect(explainFailure({ detail: "dns_error", note })).toBe(
        "The name server failed when it was asked for the name of the target.",
      );
      expect(explainFailure({ detail: "dns_error", note, nextHop: "corp" })).toContain("the name of the upstream corp");
    }
    expect(explainFailure({ detail: "dns_timeout" })).toBe("No name server gave the address of the target in time.");
  });

  test("calls an upstream as it is told to", () => {
    expect(explainFailure({ detail: "connection_refused" }, "the proxy")).toBe("The proxy refused the connection.");
  });

  test("says of everything else what the table says", () => {
    expect(explainFailure({ detail: "denied_by_rule" })).toBe(describeFailure("denied_by_rule").text);
    expect(explainFailure({ detail: "upstream_timeout" })).toBe("The upstream proxy did not answer in time.");
  });
});
