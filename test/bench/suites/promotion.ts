import { drawCurves, writeCurves, type Curves } from "../curves.ts";
import { definePenstock } from "../peers/penstock.ts";
import { fetchAndClose, formatBytes } from "../scenarios.ts";
import type { Suite } from "./suite.ts";

const sizes = [32, 64, 128, 256, 512, 1024, 2048, 4096].map((kilobytes) => kilobytes * 1024);
const thresholds = ["32 KiB", "64 KiB", "128 KiB", "256 KiB", "1 MiB"];

const curve: Curves = {
  name: "promotion",
  title: "Connect, transfer, close: CPU per tunnel, by bytes and `spliceAfter`",
  x: { label: "bytes that a tunnel carries, 8 tunnels at once", format: formatBytes },
  y: {
    label: "CPU µs per tunnel",
    of: ({ cpu }) => (cpu === undefined ? undefined : cpu * 1e6),
    digits: 0,
  },
  points: sizes.map((size) => ({ x: size, scenario: fetchAndClose(size, 8) })),
};

const peers = [
  ...thresholds.map((spliceAfter) =>
    definePenstock(`after ${spliceAfter}`, { spliceAfter: spliceAfter.replace(" ", "") }),
  ),
  definePenstock("never", { splice: "off" }),
];
const scenarios = curve.points.map(({ scenario }) => scenario);

/** After how many bytes a tunnel is best handed to the kernel: where the line of a threshold leaves that of "never". */
export const promotion: Suite = {
  name: "promotion",
  scenarios,
  peers,
  quickScenarios: scenarios.filter(({ messageBytes }) => [65_536, 262_144, 1_048_576].includes(messageBytes)),
  quickPeers: peers,
  writeSections: (all) => writeCurves(curve, all),
  drawPlots: (all) => drawCurves([curve], all),
};
