import { expect, test } from "bun:test";
import { EventChannel, type EventForm, Watcher } from "../../../../../src/proxy/record/events/event-channel.ts";

const form: EventForm = {
  name: "lines",
  write: ({ json }) => json,
  writeLost: (count, why) => `lost ${count} ${why};`,
  heartbeat: Buffer.from("."),
};
const LARGE = 800_000;

function makeChannel(): { readonly channel: EventChannel; readonly watcher: Watcher } {
  const channel = new EventChannel("k", {}, form);
  const watcher = new Watcher(channel, () => {});
  channel.watchers.add(watcher);
  return { channel, watcher };
}

test("a watcher that is too slow learns of the events that were left out beside those that it did not take", async () => {
  const { channel, watcher } = makeChannel();
  const say = (number: number) =>
    channel.offer({ number, type: "reload", leftOutBefore: 0, json: "x".repeat(LARGE) }, "id");
  say(1);
  channel.flush(0);
  say(2);
  for (let count = 0; count < 7; count += 1) channel.leaveOut();
  channel.flush(10_000);
  expect((await watcher.next())?.length).toBe(LARGE);
  expect(Buffer.from((await watcher.next()) ?? []).toString()).toBe("lost 8 slow;");
});

test("a heartbeat without bytes wakes nobody", async () => {
  const { watcher } = makeChannel();
  watcher.beat(new Uint8Array(0));
  watcher.beat(Buffer.from("."));
  expect(Buffer.from((await watcher.next()) ?? []).toString()).toBe(".");
});
