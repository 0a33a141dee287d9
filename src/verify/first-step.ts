import type { Problem, Severity } from '../format/problem.ts';
import type { NextStep } from './rules.ts';

/**
 * The better step first. A repair that is only tried names what it leaves to `recover`; both come before looking at
 * bytes.
 */
const BEST_FIRST: readonly NextStep[] = [
  'repair',
  'repair likely bit',
  'recover',
  'finalize',
  'repair stale checksum',
  'dump block',
  'dump bytes',
  'dump file',
];

/** What finds the first thing to do about a file, out of what its findings suggest. */
export class FirstStep {
  #rank = Infinity;
  #best: { readonly step: NextStep; readonly problem: Problem } | undefined;

  /** Takes the step of one finding into account. Infos ask for nothing; errors come before warnings. */
  add(step: NextStep, problem: Problem): void {
    const rank = rankOf(problem.severity) + BEST_FIRST.indexOf(step);
    if (rank >= this.#rank) return;
    this.#rank = rank;
    this.#best = { step, problem };
  }

  /** @returns undefined if there is nothing to do */
  get best(): { readonly step: NextStep; readonly problem: Problem } | undefined {
    return this.#best;
  }
}

function rankOf(severity: Severity): number {
  return severity === 'error' ? 0 : severity === 'warning' ? BEST_FIRST.length : Infinity;
}
