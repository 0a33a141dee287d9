import { describe, expect, test } from 'vitest';
import type { Severity } from '../../src/format/problem.ts';
import { FirstStep } from '../../src/verify/first-step.ts';
import type { NextStep } from '../../src/verify/rules.ts';
import { damaged, smallFile } from '../support/damage.ts';
import { fileOffset } from '../../src/format/layout.ts';
import { finding } from '../support/report.ts';
import { verifyAll } from '../support/verify.ts';

type Told = readonly [Severity, NextStep];

function first(...all: readonly Told[]): NextStep | undefined {
  const steps = new FirstStep();
  for (const [severity, step] of all) steps.add(step, finding({ severity }));
  return steps.best?.step;
}

describe('the step to begin with', () => {
  test.each<[readonly Told[], NextStep | undefined]>([
    [[], undefined],
    [[['info', 'finalize']], undefined],
    [[['warning', 'dump block']], 'dump block'],
    // A repair that is only tried says what it leaves to recover.
    [
      [
        ['error', 'recover'],
        ['error', 'repair'],
      ],
      'repair',
    ],
    [
      [
        ['error', 'dump bytes'],
        ['error', 'recover'],
      ],
      'recover',
    ],
    // An error comes before a warning, whatever is suggested.
    [
      [
        ['warning', 'repair'],
        ['error', 'recover'],
        ['info', 'repair'],
      ],
      'recover',
    ],
    [
      [
        ['error', 'dump file'],
        ['warning', 'repair'],
      ],
      'dump file',
    ],
  ])('of %j is %s', (all, step) => {
    expect(first(...all)).toBe(step);
  });

  test('that several findings suggest is that of the first', () => {
    const steps = new FirstStep();
    for (const block of [3, 4]) steps.add('dump block', finding({ block }));
    expect(steps.best?.problem.block).toBe(3);
  });

  test('is in the report of a file, and one that a finding has', async () => {
    const sound = await smallFile('v2', true);
    expect('next' in (await verifyAll(sound)).summary).toBe(false);
    const broken = damaged(sound, (copy) => copy.fill(7, fileOffset(1, 100), fileOffset(1, 140)));
    const { findings, summary } = await verifyAll(broken);
    expect(summary.next).toMatch(/^artrie-pages recover /);
    expect(findings.map(({ next }) => next)).toContain(summary.next);
  });
});
