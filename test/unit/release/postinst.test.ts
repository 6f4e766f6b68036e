import { expect, test } from "bun:test";
import { chmod } from "node:fs/promises";
import { makeFolder } from "../../support/temporary-folder.ts";

/** Knows `show` alone: options of other verbs differ between versions of systemd. */
const SYSTEMCTL = '#!/bin/sh\n[ "$1" = show ] && exec cat main-pid\nexit 1\n';

async function handOver(onSignal: string) {
  await using folder = await makeFolder({ systemctl: SYSTEMCTL });
  await chmod(`${folder.path}/systemctl`, 0o755);
  const cwd = folder.path;
  const proxy = `trap '${onSignal}' USR2; echo $$ >main-pid; echo ready; while :; do sleep 0.05; done`;
  await using child = Bun.spawn(["sh", "-c", proxy], { cwd, stdout: "pipe" });
  await child.stdout.getReader().read();
  const text = await Bun.file(`${import.meta.dir}/../../../.ci/debian/postinst`).text();
  const [functions] = text.split('\ncase "$1" in');
  await using script = Bun.spawn(["sh", "-c", `${functions}\nhand_over ${child.pid}`], {
    cwd,
    env: { PATH: `${cwd}:${process.env["PATH"]}` },
    stderr: "pipe",
  });
  const [code, complaint] = await Promise.all([script.exited, script.stderr.text()]);
  child.kill("SIGKILL");
  const main = (await Bun.file(`${cwd}/main-pid`).text()).trim();
  return { code, complaint: complaint.replaceAll(String(child.pid), "PID"), main };
}

test("the Debian package has the main process hand over, whatever systemctl kill knows", async () => {
  expect(await handOver("echo 4242 >main-pid")).toEqual({ code: 0, complaint: "", main: "4242" });
});

test("the Debian package says that the process did not hand over when it is gone", async () => {
  const { code, complaint } = await handOver("echo 0 >main-pid");
  expect(code).toBe(0);
  expect(complaint).toStartWith("penstock: process PID did not hand over to the new version");
});
