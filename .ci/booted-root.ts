import { join } from "node:path";
import { waitFor } from "../test/support/wait-for.ts";
import { runToEnd, type Said } from "./trial.ts";

/**
 * Makes a root of its own and has systemd begin there: `$1` is the folder of the
 * root. What would reach the machine outside is read-only (/proc/sys, /sys), or not
 * allowed (the clock, modules).
 */
const BEGIN = `
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty dev/
mkdir dev/pts dev/shm .before
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
pivot_root . .before
umount -l /.before
rmdir /.before
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
  setpriv --bounding-set=-sys_time,-sys_module,-sys_boot,-sys_rawio \\
  /lib/systemd/systemd --unit=multi-user.target --log-target=journal --show-status=no`;

/** Enters the control group `$2`, so that systemd sees nothing above it. */
const ENTER = `
echo 0 >"$2/cgroup.procs"
exec unshare --mount --uts --ipc --pid --cgroup --fork --kill-child sh -ec "$3" sh "$1"`;

/** A Debian with systemd as process 1, in namespaces of its own but for the network. */
export class BootedRoot implements Disposable {
  readonly #child: Bun.Subprocess;
  /** Process 1, by its number outside. */
  readonly #first: number;

  private constructor(child: Bun.Subprocess, first: number) {
    this.#child = child;
    this.#first = first;
  }

  /** `group` is the folder of an empty control group, version 2. */
  static async boot(root: string, group: string): Promise<BootedRoot> {
    await Bun.write(join(root, "etc/machine-id"), "70656e73746f636b20747269616c0000\n");
    await Bun.write(join(root, "etc/hosts"), "127.0.0.1 localhost\n");
    const child = Bun.spawn(["sh", "-ec", ENTER, "sh", root, group, BEGIN], {
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
    });
    const first = await waitFor(async () => {
      const { said } = await runToEnd(["cat", `/proc/${child.pid}/task/${child.pid}/children`]);
      return /^\d+/.exec(said)?.[0];
    }, "process 1");
    const booted = new BootedRoot(child, Number(first));
    await waitFor(
      async () => /^(running|degraded)$/.test((await booted.run("systemctl", "is-system-running")).said),
      "systemd to have started everything",
    );
    return booted;
  }

  /** Runs a program inside, as root. */
  run(...command: readonly string[]): Promise<Said> {
    return runToEnd(["nsenter", "--target", String(this.#first), "-m", "-u", "-i", "-p", "-C", "--", ...command]);
  }

  /** The path by which a file inside can be used outside. */
  at(path: string): string {
    return join(`/proc/${this.#first}/root`, path);
  }

  /** A property of a unit, such as `MainPID`. */
  async show(property: string, unit = "penstock.service"): Promise<string> {
    return (await this.run("systemctl", "show", "--property", property, "--value", unit)).said;
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}
