import type { Descriptors } from "../../src/net/conn/descriptors.ts";

/** A process without a limit of open files. */
export const plentyOfDescriptors: Descriptors = { judge: () => "enough", allowsConnections: () => true };
