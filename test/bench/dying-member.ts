/**
 * Opens 200 connections a second through five members, of which one is killed and
 * started again ten times: `bun test/bench/dying-member.ts [PROGRAM] [PER_SECOND] [DEATHS] [stopped]`.
 * With `stopped` it is stopped and goes on again, and the clients send GET.
 */
import { runDyingMember } from "../support/dying-member.ts";

const [program = "microsocks", perSecond = "200", deaths = "10", fault] = process.argv.slice(2);
const stops = fault === "stopped";
const begun = performance.now();
const result = await runDyingMember({ program, perSecond: Number(perSecond), deaths: Number(deaths), stops });
const failed = Object.values(result.failed).reduce((sum, count) => sum + count, 0);
const { p50, p99, max } = result.setUpMs;
process.stdout.write(
  `${program}: ${result.connections} connections in ${((performance.now() - begun) / 1000).toFixed(0)} s, ${failed} failed, ` +
    `${result.ejections} ejections of the first member. Of ${result.underWay} connections under way when it died, ` +
    `${result.cut} had a tunnel through it and lost that. Set-up: median ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, ` +
    `longest ${max.toFixed(0)} ms.\n`,
);
for (const [what, count] of Object.entries(result.failed)) process.stdout.write(`${count} × ${what}\n`);
process.exit(failed === 0 ? 0 : 1);
