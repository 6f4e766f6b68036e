import { describe, expect, test } from "bun:test";
import { AcmeFiles } from "../../../src/acme/acme-files.ts";
import { openKeeper } from "../../support/keeper-stand.ts";
import { waitFor } from "../../support/wait-for.ts";

/** Files of a disk that has no room for certificates. */
class FullDisk extends AcmeFiles {
  isFull = true;
  tries = 0;

  override writeCertificate(certificate: Parameters<AcmeFiles["writeCertificate"]>[0]): Promise<void> {
    this.tries += 1;
    const full = Object.assign(new Error("There is no space left"), { code: "ENOSPC" });
    return this.isFull ? Promise.reject(full) : super.writeCertificate(certificate);
  }
}

describe("a certificate that was issued", () => {
  test("is in use when it cannot be written, and is written once that is possible", async () => {
    await using stand = await openKeeper();
    const { server } = stand;
    const files = new FullDisk(stand.folder.path, stand.keeper.plan);
    const keeper = stand.another({ files });
    keeper.start();
    expect(await stand.change(0)).toMatchObject({ change: "issued", failures: 0 });
    const cert = stand.used[0]?.cert ?? "";
    expect(keeper.current?.cert).toBe(cert);
    const why = `Cannot write the certificate for proxy.example.org to ${files.certificate}: ENOSPC. It is used as it is, and lost when this process ends.`;
    expect(keeper.status.problem).toBe(why);
    server.stopped = false;
    await waitFor(() => files.tries > 3, "other tries");
    expect(files.readCertificate()).toBeUndefined();
    files.isFull = false;
    await waitFor(() => keeper.status.problem === undefined, "the file");
    expect(files.readCertificate()?.cert).toBe(cert);
    expect(stand.told.filter((message) => message.startsWith("Cannot write"))).toEqual([`${why} Another try follows.`]);
    expect(stand.told.at(-1)).toBe(`Wrote the certificate for proxy.example.org to ${files.certificate}.`);
    expect(server.orders).toHaveLength(1);
    expect(stand.used).toHaveLength(1);
  });
});
