import type { Patch } from '../format/patch.ts';
import { patchOf } from './change.ts';
import type { Change, LeftProblem } from './repairs.ts';

/** Where a plan goes as it is made. */
export interface PlanSink {
  /** The bytes are the receiver's. */
  patch(patch: Patch): Promise<void>;
  left(problem: LeftProblem): Promise<void>;
}

/** Counts what a plan says on its way. */
export class PlanOutput {
  changes = 0;
  errors = 0;
  warnings = 0;
  readonly #sink: PlanSink;

  constructor(sink: PlanSink) {
    this.#sink = sink;
  }

  async change({ repair, offset, before, after }: Omit<Change, 'block' | 'field'>): Promise<void> {
    this.changes++;
    await this.#sink.patch(patchOf({ repair, offset, before: before.slice(), after: after.slice() }));
  }

  async left(problem: LeftProblem): Promise<void> {
    if (problem.severity === 'error') this.errors++;
    else this.warnings++;
    await this.#sink.left(problem);
  }
}
