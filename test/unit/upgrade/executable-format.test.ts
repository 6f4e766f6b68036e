import { expect, test } from "bun:test";
import { describeExecutable } from "../../../src/upgrade/executable-format.ts";

/** The head of a program for Linux, with the name of its loader. */
function makeElf(machine: number, loader: string): Buffer {
  const bytes = Buffer.alloc(400);
  bytes.write("\x7fELF\x02\x01", "latin1");
  bytes.writeUInt16LE(machine, 18);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(2, 56);
  bytes.writeUInt32LE(1, 64);
  bytes.writeUInt32LE(3, 120);
  bytes.writeBigUInt64LE(300n, 128);
  bytes.writeBigUInt64LE(BigInt(loader.length), 152);
  bytes.write(loader, 300);
  return bytes;
}

function makeMachO(machine: number): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.writeUInt32LE(0xfeedfacf);
  bytes.writeUInt32LE(machine, 4);
  return bytes;
}

function makePe(machine: number): Buffer {
  const bytes = Buffer.alloc(256);
  bytes.write("MZ");
  bytes.writeUInt32LE(128, 0x3c);
  bytes.write("PE\0\0", 128, "latin1");
  bytes.writeUInt16LE(machine, 132);
  return bytes;
}

test.each([
  [makeElf(62, "/lib64/ld-linux-x86-64.so.2"), "linux-x64"],
  [makeElf(62, "/lib/ld-musl-x86_64.so.1"), "linux-x64-musl"],
  [makeElf(183, "/lib/ld-linux-aarch64.so.1"), "linux-arm64"],
  [makeElf(183, "/lib/ld-musl-aarch64.so.1"), "linux-arm64-musl"],
  [makeMachO(0x01000007), "darwin-x64"],
  [makeMachO(0x0100000c), "darwin-arm64"],
  [makePe(0x8664), "windows-x64"],
  [makePe(0xaa64), "windows-arm64"],
])("an executable is known by its head: %#", (bytes, name) => {
  expect(describeExecutable(bytes)).toBe(name);
});

test("this program is for the platform that it runs on", async () => {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const head = Buffer.from(await Bun.file(process.execPath).slice(0, 65536).arrayBuffer());
  expect(describeExecutable(head)).toStartWith(`${platform}-${process.arch}`);
});

test("scripts, other machines and anything that was cut are of no platform", () => {
  for (const bytes of [Buffer.from("#!/bin/sh\n"), makeElf(8, ""), makeMachO(7), makePe(0x14c)])
    expect(describeExecutable(bytes)).toBeUndefined();
  for (const whole of [makeElf(62, "/lib/ld-musl-x86_64.so.1"), makePe(0x8664)])
    for (const length of [0, 1, 4, 20, 60, 130]) expect(describeExecutable(whole.subarray(0, length))).toBeUndefined();
});
