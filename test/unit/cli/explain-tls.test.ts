import { expect, test } from "bun:test";
import { runCli } from "../../../src/cli/run-cli.ts";
import { createFakeIo } from "../../support/fake-io.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

test("explain shows the certificates of listeners with TLS: names, file, days, and what clients need", async () => {
  await using folder = await makeFolder();
  const io = () => createFakeIo({ folder: folder.path });
  expect(await runCli(["cert", "proxy.test", "*.proxy.test", "192.0.2.1", "--days", "20"], io())).toBe(0);
  await folder.write({
    "proxy.config.json": {
      listen: [
        "127.0.0.1:8080",
        { port: 8443, tls: { cert: "fullchain.pem", key: "privkey.pem", clientCa: "ca.pem" } },
        { port: 9443, tls: { acme: { names: ["a.example", "b.example"], email: "a@a.example" } } },
      ],
      state: { folder: "state" },
    },
  });
  const shown = io();
  await runCli(["explain", "192.0.2.1:443"], shown);
  const lines = shown.printed().split("\n");
  expect(lines.filter((line) => line.startsWith("tls:"))).toEqual([
    expect.stringMatching(
      /^tls: {5}127\.0\.0\.1:8443 shows fullchain\.pem for proxy\.test, \*\.proxy\.test, 192\.0\.2\.1, valid until \d{4}-\d\d-\d\d \((?:19|20) days\); clients need a certificate$/,
    ),
    "tls:     127.0.0.1:9443 has a certificate for a.example, b.example by ACME",
  ]);
  const json = io();
  await runCli(["explain", "192.0.2.1:443", "--json"], json);
  expect(JSON.parse(json.printed())).toMatchObject({
    certificates: [
      {
        listener: "127.0.0.1:8443",
        file: "fullchain.pem",
        names: ["proxy.test", "*.proxy.test", "192.0.2.1"],
        client_certificate: "required",
      },
      { listener: "127.0.0.1:9443", names: ["a.example", "b.example"], acme: true },
    ],
  });
});

test("explain says nothing of certificates where no listener has TLS", async () => {
  await using folder = await makeFolder({ "proxy.config.json": {} });
  const io = createFakeIo({ folder: folder.path });
  await runCli(["explain", "192.0.2.1:443"], io);
  expect(io.printed()).not.toContain("tls:");
});
