import type { ProblemCode } from '../errors.ts';
import type { Problem } from '../format/invariants.ts';
import type { BlockProblem } from './recovery-report.ts';

/** What is wrong with a block, each code once: a page can have 100,000 slots, and the same be wrong with each. */
export function tallyProblems(problems: Iterable<Problem>): BlockProblem[] {
  const byCode = new Map<ProblemCode, { message: string; count: number }>();
  for (const { code, severity, message } of problems) {
    if (severity === 'info') continue;
    const known = byCode.get(code);
    if (known) known.count++;
    else byCode.set(code, { message, count: 1 });
  }
  return [...byCode].map(([code, { message, count }]) => ({ code, message, count }));
}
