import type { CompiledConfig } from "../config/compile.ts";
import { followFiles } from "../config/follow-files.ts";
import { formatProblem } from "../config/problem.ts";
import type { FileText } from "../config/read-file.ts";
import { watchCertificates } from "../config/watch-certificates.ts";
import { type FileWatch, watchFile } from "../config/watch-file.ts";
import { FilesWatch } from "../config/watch-files.ts";
import type { Daemon } from "../daemon.ts";
import type { Tell } from "../operator-message.ts";

/**
 * Follows the files of the configuration in effect. With `watch` a change of any
 * of them is a reload. Without it the users file and certificates are followed
 * alone, each by itself. Lists are in any case.
 */
export class Follower {
  readonly #daemon: Daemon;
  readonly #tell: Tell;
  #watches: readonly FileWatch[] = [];
  #files: FilesWatch | undefined;
  /** The files of the configuration in effect. */
  #names: readonly string[] = [];

  constructor(daemon: Daemon, tell: Tell) {
    this.#daemon = daemon;
    this.#tell = tell;
  }

  /** Follows what a configuration names, and nothing else. `files` were read since `readSince`, milliseconds since the epoch. */
  follow(compiled: CompiledConfig, files: readonly string[], readSince: number): void {
    for (const watch of this.#watches) watch.close();
    this.#watches = [...this.#watchLists(compiled), ...(compiled.watch ? [] : this.#followEach(compiled))];
    if (!compiled.watch) {
      this.#files?.close();
      this.#files = undefined;
      return;
    }
    this.#files ??= new FilesWatch({ changed: () => void this.#daemon.reload() });
    this.#names = files;
    void this.#files.watch(files, readSince);
  }

  /** Watches the files of a configuration that cannot be used, beside those in use: a change may mend it. */
  followAlso(files: readonly string[], readSince: number): void {
    void this.#files?.watch([...this.#names, ...files], readSince);
  }

  close(): void {
    for (const watch of this.#watches) watch.close();
    this.#files?.close();
  }

  #followEach(compiled: CompiledConfig): FileWatch[] {
    return [
      this.#watchUsers(compiled),
      this.#followCertificates(compiled.tlsFiles),
      this.#followTrust(compiled),
      ...this.#watchPacs(compiled),
    ].filter((watch) => watch !== undefined);
  }

  /** Applies changes of the users file. An invalid file leaves the users unchanged. */
  #watchUsers({ usersFile }: CompiledConfig): FileWatch | undefined {
    if (!usersFile) return undefined;
    const { path } = usersFile;
    const tell = this.#tell;
    const replace = (read: FileText) => {
      if (!read.ok) return tell(`Cannot read ${path}: ${read.reason}. The users stay as they were.`, "error");
      const replaced = this.#daemon.replaceUsers(read.text);
      if (replaced.ok) return tell(`Read the users of ${path} again.`, "info");
      tell(`Cannot use the new ${path}. The users stay as they were:`, "error");
      for (const problem of replaced.problems) tell(`  ${formatProblem(problem)}`, "error");
    };
    return watchFile(path, { known: usersFile.text, kind: "users", tell: replace });
  }

  /** Applies changes of PAC files. One that cannot be used leaves the one before in use. */
  #watchPacs({ pacs }: CompiledConfig): FileWatch[] {
    return pacs.flatMap(({ name, at }) =>
      at.kind === "file"
        ? watchFile(at.path, {
            known: at.text,
            kind: "pac",
            tell: (read) => void this.#daemon.replacePac(name, read),
          })
        : [],
    );
  }

  /** Applies changes of lists. One that cannot be used leaves the one before in use. */
  #watchLists({ lists }: CompiledConfig): FileWatch[] {
    return (lists?.sources ?? []).flatMap(({ key, at }) =>
      at.kind === "file"
        ? watchFile(at.path, {
            known: lists?.texts.get(key) ?? "",
            kind: "list",
            tell: (read) => void this.#daemon.lists.replace(key, read),
          })
        : [],
    );
  }

  /** Applies changes of certificates. */
  #followCertificates(tlsFiles: CompiledConfig["tlsFiles"]): FileWatch {
    return watchCertificates(tlsFiles, {
      replace: (listener, plan) => {
        const tls = this.#daemon.tls(listener);
        if (!tls) throw new Error(`The listener ${listener} has no certificates to replace`);
        const replaced = tls.replace(plan);
        if (replaced.ok) this.#daemon.checkCertificates();
        return replaced;
      },
      tell: this.#tell,
      now: Date.now,
    });
  }

  /** Applies changes of the certificates for upstreams and origins. */
  #followTrust({ trustFiles }: CompiledConfig): FileWatch | undefined {
    const tell = this.#tell;
    return (
      trustFiles &&
      followFiles(trustFiles, {
        apply: (renew) => {
          this.#daemon.renewTrust(renew);
          this.#daemon.checkCertificates();
          tell("Read the certificates for upstreams and origins again.", "info");
          return { ok: true };
        },
        refusal: "Cannot use the new certificates for upstreams and origins. The old ones stay:",
        tell,
        now: Date.now,
      })
    );
  }
}
