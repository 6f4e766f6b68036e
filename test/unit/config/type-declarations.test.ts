import { expect, test } from "bun:test";

import type * as real from "penstock";

import { writeAmbientTypes, writePackageTypes } from "../../../src/config/type-declarations.ts";
import type * as written from "../../fixtures/penstock-types.d.ts";

/** The compiler checks that each type can stand for the other one. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;

const agreements: Readonly<Record<string, true>> = {
  config: true satisfies Same<real.PenstockConfig, written.PenstockConfig>,
  defineConfig: true satisfies Same<typeof real.defineConfig, typeof written.defineConfig>,
  env: true satisfies Same<typeof real.env, typeof written.env>,
  VerifyUser: true satisfies Same<real.VerifyUser, written.VerifyUser>,
  DecideTarget: true satisfies Same<real.DecideTarget, written.DecideTarget>,
  ChooseWay: true satisfies Same<real.ChooseWay, written.ChooseWay>,
  ChooseMember: true satisfies Same<real.ChooseMember, written.ChooseMember>,
  NotifyOperator: true satisfies Same<real.NotifyOperator, written.NotifyOperator>,
  AskedApproval: true satisfies Same<real.AskedApproval, written.AskedApproval>,
  HookQuery: true satisfies Same<real.HookQuery, written.HookQuery>,
  RuleVerdict: true satisfies Same<real.RuleVerdict, written.RuleVerdict>,
  Way: true satisfies Same<real.Way, written.Way>,
  PoolQuery: true satisfies Same<real.PoolQuery, written.PoolQuery>,
  MemberFacts: true satisfies Same<real.MemberFacts, written.MemberFacts>,
};

test("the declarations that are written are the types of the source: run `bun run docs` when they are not", async () => {
  expect(Object.values(agreements)).not.toContain(false);
  const committed = await Bun.file(`${import.meta.dir}/../../fixtures/penstock-types.d.ts`).text();
  expect(committed).toBe(writePackageTypes());
});

test("the declarations for an editor are one module, with nothing imported", () => {
  const text = writeAmbientTypes();
  expect(text.match(/^declare module "penstock" \{$/gm)).toHaveLength(1);
  expect(text).not.toMatch(/\bimport\b(?!ed)|\brequire\(/);
});
