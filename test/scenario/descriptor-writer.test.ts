import { expect, test } from "bun:test";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { DescriptorWriter } from "../../src/net/libc/descriptor-writer.ts";
import { expectProgram } from "../support/program.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

/** A pipe of the system: the writing end blocks, as standard output of a shell's does. */
async function openPipe() {
  const folder = await makeFolder();
  const path = `${folder.path}/pipe`;
  await expectProgram(["mkfifo", path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY);
  const bytes = Buffer.alloc(10_000);
  return {
    writer,
    read: () => bytes.toString("utf8", 0, readSync(reader, bytes)),
    closeReader: () => closeSync(reader),
    [Symbol.asyncDispose]: async () => {
      closeSync(writer);
      await folder[Symbol.asyncDispose]();
    },
  };
}

test("writes to a full pipe as its reader takes it, in order, and waits without blocking", async () => {
  await using pipe = await openPipe();
  const output = new DescriptorWriter(pipe.writer, { limitBytes: Infinity });
  const lines = Array.from({ length: 2000 }, (_, index) => `${index} ${"x".repeat(200)}\n`);
  let written = 0;
  for (const line of lines) void output.write(line)?.then(() => (written += 1));
  // Timers turn while the pipe is full.
  await Bun.sleep(1);
  expect(written).toBeLessThan(lines.length);
  let text = "";
  const whole = lines.join("");
  await waitFor(() => {
    try {
      text += pipe.read();
    } catch {
      // Nothing is there at the moment.
    }
    return text.length >= whole.length;
  }, "all of it");
  expect(text).toBe(whole);
  await waitFor(() => written === lines.length, "the promises");
});

test("takes no more than may wait, and more again once there is room", async () => {
  await using pipe = await openPipe();
  const output = new DescriptorWriter(pipe.writer, { limitBytes: 200_000 });
  let pending = 0;
  const offer = (text: string): boolean => {
    const written = output.write(text);
    if (written === undefined) return false;
    pending += 1;
    void written.then(() => (pending -= 1));
    return true;
  };
  const read = (): void => {
    try {
      pipe.read();
    } catch {
      // Nothing is there at the moment.
    }
  };
  let taken = 0;
  while (offer("x".repeat(10_000))) taken += 1;
  // What the pipe holds, 64 KiB, and what may wait.
  expect(taken).toBeGreaterThanOrEqual(20);
  expect(taken).toBeLessThanOrEqual(28);
  await waitFor(() => {
    read();
    return offer("y");
  }, "room");
  // Nothing may be left to write when the pipe is closed: its number may be another's then.
  await waitFor(() => {
    read();
    return pending === 0;
  }, "the promises");
});

test("rejects what nobody can read any more, and goes on with what follows", async () => {
  await using pipe = await openPipe();
  const output = new DescriptorWriter(pipe.writer, { limitBytes: Infinity });
  await output.write("read by somebody\n");
  pipe.closeReader();
  const lost = await Promise.allSettled([output.write("lost\n"), output.write("lost, too\n")]);
  for (const each of lost) expect(each).toMatchObject({ status: "rejected", reason: { code: "EPIPE" } });
});

test("rejects what a full disk does not take", async () => {
  const fd = openSync("/dev/full", "w");
  const output = new DescriptorWriter(fd, { limitBytes: Infinity });
  await expect(output.write("lost\n")).rejects.toMatchObject({ code: "ENOSPC" });
  closeSync(fd);
});

test("writes whole lines, which another writer to the same pipe does not tear", async () => {
  await using pipe = await openPipe();
  const writers = ["a", "b"].map((name) => ({
    name,
    output: new DescriptorWriter(pipe.writer, { limitBytes: Infinity }),
  }));
  const batch = (name: string): string => `${name.repeat(150)}\n`.repeat(3000);
  for (const { name, output } of writers) void output.write(batch(name));
  let text = "";
  await waitFor(() => {
    try {
      text += pipe.read();
    } catch {
      // Nothing is there at the moment.
    }
    return text.length >= 2 * batch("a").length;
  }, "all of it");
  const lines = text.split("\n").slice(0, -1);
  expect(lines).toHaveLength(6000);
  expect(lines.filter((line) => !/^(a{150}|b{150})$/.test(line))).toEqual([]);
  // Both were at work at the same time.
  expect(lines.indexOf("b".repeat(150))).toBeLessThan(lines.lastIndexOf("a".repeat(150)));
});
