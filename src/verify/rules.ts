import type { ProblemCode } from '../errors.ts';
import type { Problem } from '../format/invariants.ts';
import { HEAD_RULES } from './head-rules.ts';
import { PAGE_RULES } from './page-rules.ts';
import type { Rule } from './rule.ts';
import { WHOLE_RULES } from './whole-rules.ts';

export type { Rule } from './rule.ts';

/** Every rule, in the order in which a file is checked: header, pages, what the blocks say together. */
export const RULES: readonly Rule[] = [...HEAD_RULES, ...PAGE_RULES, ...WHOLE_RULES];

const BY_ID: ReadonlyMap<ProblemCode, Rule> = new Map(RULES.map((rule) => [rule.id, rule]));

/** The rule that a problem is of: there is one for every code, which a test makes sure of. */
export function ruleOf({ code }: Pick<Problem, 'code'>): Rule {
  const rule = BY_ID.get(code);
  if (rule === undefined) throw new Error(`no rule for ${code}`);
  return rule;
}
