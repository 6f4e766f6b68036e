import { AcmeFiles, type KeptCertificate } from "../../src/acme/acme-files.ts";
import type { AcmePlan } from "../../src/acme/acme-plan.ts";
import { type CertificateChange, CertificateKeeper, type KeeperParts } from "../../src/acme/certificate-keeper.ts";
import { succeed } from "../../src/acme/outcome.ts";
import type { Proof } from "../../src/acme/solver.ts";
import { type AcmeServer, startAcmeServer } from "./acme-server.ts";
import { makeFolder, type TemporaryFolder } from "./temporary-folder.ts";
import { waitFor } from "./wait-for.ts";

/** A keeper of a certificate, with an authority of a test's own, and one clock for both. */
export interface KeeperStand extends AsyncDisposable {
  readonly server: AcmeServer;
  readonly keeper: CertificateKeeper;
  readonly files: AcmeFiles;
  readonly folder: TemporaryFolder;
  readonly used: KeptCertificate[];
  readonly changes: CertificateChange[];
  readonly told: string[];
  /** What was shown to the authority, and is now. */
  readonly proofs: Proof[];
  /** Another one with the same files, as in another process. */
  another(parts?: Partial<KeeperParts>): CertificateKeeper;
  /** The change with that index, once it is there. The clock stands still from that change on, until the next one is waited for. */
  change(index: number): Promise<CertificateChange>;
}

export async function openKeeper(plan: Partial<AcmePlan> = {}): Promise<KeeperStand> {
  const server = await startAcmeServer();
  const folder = await makeFolder();
  const whole: AcmePlan = {
    directory: server.directory,
    ca: undefined,
    names: ["proxy.example.org"],
    email: undefined,
    profile: undefined,
    eab: undefined,
    challenge: { type: "tls-alpn-01" },
    ...plan,
  };
  const files = new AcmeFiles(folder.path, whole);
  const stand = { used: [] as KeptCertificate[], changes: [] as CertificateChange[], told: [] as string[] };
  const proofs: Proof[] = [];
  let wanted = Infinity;
  const keepers: CertificateKeeper[] = [];
  const make = (parts: Partial<KeeperParts> = {}): CertificateKeeper => {
    const keeper = new CertificateKeeper(whole, {
      files,
      lock: () => () => {},
      createSolver: ({ challenge: { type } }) => ({
        type,
        hint: "Open the port",
        begin(shown) {
          proofs.push(...shown);
          return Promise.resolve(succeed(undefined));
        },
        end() {
          proofs.length = 0;
          return Promise.resolve();
        },
      }),
      use(certificate) {
        stand.used.push(certificate);
        return undefined;
      },
      isServed: () => false,
      tell: (message) => stand.told.push(message),
      publish(change) {
        stand.changes.push(change);
        if (stand.changes.length > wanted) server.stopped = true;
      },
      exchange: server.exchange,
      now: () => server.now,
      wait: (ms, signal) => server.wait(ms, signal),
      random: () => 0.5,
      ...parts,
    });
    keepers.push(keeper);
    return keeper;
  };
  return {
    ...stand,
    server,
    folder,
    files,
    proofs,
    keeper: make(),
    another: make,
    change(index) {
      wanted = index;
      server.stopped = stand.changes.length > index;
      return waitFor(
        () => stand.changes[index],
        () => `change ${index}; told: ${stand.told.join("\n")}`,
        20_000,
      );
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(keepers.map((keeper) => keeper.stop()));
      await folder[Symbol.asyncDispose]();
    },
  };
}
