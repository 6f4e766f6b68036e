import type { SuccessorProcess } from "../../src/handover/attempt.ts";
import type { StartSuccessor } from "../../src/handover/handover.ts";
import { Successor } from "../../src/handover/successor.ts";
import { HandoverChannel } from "../../src/net/handover/channel.ts";
import { watchWithTimer } from "../../src/net/handover/watch.ts";
import { openLibc } from "../../src/net/libc/libc.ts";
import { duplicateDescriptor } from "../../src/net/libc/socket.ts";
import type { HandoverMessage } from "../../src/protocol/handover/message.ts";

/** A process that was started to take over, played by the test. */
export interface FakeSuccessor {
  readonly pid: number;
  /** The descriptor of the channel, until somebody uses it. */
  readonly channel: number;
  /** Called when it ends. */
  readonly atEnd: (() => void)[];
  /** Signals that it got. A SIGKILL ends it. */
  readonly signals: string[];
  /** Ends it, as a process ends: its descriptors are closed. */
  end(how?: string): void;
}

export function requireLibc(): NonNullable<ReturnType<typeof openLibc>> {
  const libc = openLibc();
  if (libc === undefined) throw new Error("There is no C library to call");
  return libc;
}

/** Starts no process: calls `play` in its place, once the caller goes on. */
export function startFakes(play: (fake: FakeSuccessor) => unknown): StartSuccessor {
  let next = 400_000;
  return (channel) => {
    const libc = requireLibc();
    const own = duplicateDescriptor(libc, channel);
    const exited = Promise.withResolvers<string>();
    const pid = (next += 1);
    const signals: string[] = [];
    const atEnd = [() => void libc.close(own)];
    let ended = false;
    const end = (how = "was ended by SIGKILL"): void => {
      if (!ended) for (const close of atEnd) close();
      ended = true;
      exited.resolve(how);
    };
    const fake: FakeSuccessor = { pid, channel: own, atEnd, signals, end };
    setImmediate(() => void play(fake));
    const process: SuccessorProcess = {
      pid,
      exited: exited.promise,
      kill(signal) {
        signals.push(signal);
        if (signal === "SIGKILL") end();
      },
    };
    return process;
  };
}

/** The channel of a fake, and what came through it. */
export interface FakeChannel {
  readonly channel: HandoverChannel;
  readonly messages: HandoverMessage[];
}

/** Speaks the protocol as a successor; reads the offer first. */
export function speak(fake: FakeSuccessor): FakeChannel {
  const libc = requireLibc();
  const channel = new HandoverChannel(libc, duplicateDescriptor(libc, fake.channel));
  const messages: HandoverMessage[] = [];
  const descriptors: number[] = [];
  fake.atEnd.push(() => {
    channel.close();
    // A listening socket that stays open takes connections.
    for (const fd of descriptors.splice(0)) libc.close(fd);
  });
  channel.open(
    {
      onMessage(message, came) {
        messages.push(message);
        descriptors.push(...(came ?? []));
      },
      onEnd: () => {},
    },
    watchWithTimer,
  );
  return { channel, messages };
}

/** Takes over as a real successor does. */
export function takeOver(fake: FakeSuccessor): Successor {
  const successor = Successor.receive(duplicateDescriptor(requireLibc(), fake.channel));
  if (typeof successor === "string") throw new Error(successor);
  fake.end("ended its channel");
  return successor;
}
