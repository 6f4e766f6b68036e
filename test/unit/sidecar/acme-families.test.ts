import { expect, test } from "bun:test";
import { collectAcmeFamilies } from "../../../src/sidecar/acme-families.ts";
import { formatFamilies } from "../../../src/sidecar/prometheus-text.ts";

test("certificates with the same first name share their series: no labels are there twice", () => {
  const [name, second, third] = ["a.example", "b.example", "c.example"];
  const text = formatFamilies(
    collectAcmeFamilies([
      { names: [name, second], issued: 1, failed: 0, failures: 0, nextAt: 5_000_000 },
      { names: [name, third], issued: 2, failed: 3, failures: 3, nextAt: 4_000_000 },
      { names: [third], issued: 0, failed: 1, failures: 1, nextAt: undefined },
    ]),
  );
  expect(text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))).toEqual([
    'penstock_acme_orders_total{name="a.example",result="issued"} 3',
    'penstock_acme_orders_total{name="a.example",result="failed"} 3',
    'penstock_acme_orders_total{name="c.example",result="issued"} 0',
    'penstock_acme_orders_total{name="c.example",result="failed"} 1',
    'penstock_acme_failures{name="a.example"} 3',
    'penstock_acme_failures{name="c.example"} 1',
    'penstock_acme_next_order_timestamp_seconds{name="a.example"} 4000',
    'penstock_acme_next_order_timestamp_seconds{name="c.example"} 0',
  ]);
});
