import { expect, test } from "bun:test";
import { findContainerEnd } from "../../../src/handover/container-end.ts";

const own = { pid: 7, parent: 1, command: "/penstock\0serve\0" };

test.each([
  ["process 1", { pid: 1, parent: 0, command: own.command, firstCommand: own.command }, "process 1 of"],
  ["what an init of containers runs", { ...own, firstCommand: `/dev/init\0--\0${own.command}` }, "the main process of"],
  ["the main process of a shared namespace", { ...own, parent: 0, firstCommand: "/pause\0" }, "the main process of"],
])("a container ends with %s", (_, place, named) => {
  expect(findContainerEnd(place)).toStartWith(`The proxy is ${named} its container, which would end with it`);
});

test.each([
  ["a service of systemd", { ...own, firstCommand: "/sbin/init\0" }],
  ["a process whose process 1 cannot be read", { ...own, firstCommand: "" }],
  ["a process that cannot read its own command", { ...own, command: "", firstCommand: "/sbin/init\0" }],
  ["a child of a shell", { ...own, parent: 5, firstCommand: `/dev/init\0--\0${own.command}` }],
  ["another program's child", { ...own, firstCommand: `/dev/init\0--\0/opt${own.command}` }],
])("nothing ends with %s", (_, place) => {
  expect(findContainerEnd(place)).toBeUndefined();
});
