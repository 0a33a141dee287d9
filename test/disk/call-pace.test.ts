import { expect, test } from 'vitest';
import { type CallHistory, CallScheduler } from '../../src/disk/node-block-file.ts';

/** Calls that take a given number of milliseconds, and the variant of each that was made. */
function calls(): {
  readonly made: string[];
  readonly make: (milliseconds: number, kind?: CallHistory) => Promise<number>;
} {
  let now = 0;
  const made: string[] = [];
  const pace = new CallScheduler(() => now);
  const only: CallHistory = { isSlow: false };
  const take = (where: string, milliseconds: number): number => {
    made.push(where);
    return (now += milliseconds);
  };
  return {
    made,
    make: async (milliseconds, kind = only) =>
      pace.run(
        kind,
        () => take('here', milliseconds),
        async () => take('elsewhere', milliseconds),
      ),
  };
}

test('a call is made synchronously until one is slow, and again after a fast one', async () => {
  const { made, make } = calls();
  for (const milliseconds of [0.1, 1, 1.1, 5, 0.9, 0.2]) await make(milliseconds);
  expect(made).toEqual(['here', 'here', 'here', 'elsewhere', 'elsewhere', 'here']);
});

test('slow calls of one kind do not affect another kind', async () => {
  const { made, make } = calls();
  await make(30);
  await make(0.1, { isSlow: false });
  await make(0.1);
  expect(made).toEqual(['here', 'here', 'elsewhere']);
});

test('the result and the error of a call are those of the variant that was made', async () => {
  const { make } = calls();
  expect(await make(3)).toBe(3);
  expect(await make(3)).toBe(6);
  const pace = new CallScheduler();
  const failing = (): never => {
    throw new Error('no space');
  };
  await expect(pace.run({ isSlow: false }, failing, async () => 1)).rejects.toThrow('no space');
  await expect(
    pace.run(
      { isSlow: true },
      () => 1,
      async () => failing(),
    ),
  ).rejects.toThrow('no space');
});

test('timers and input get their turn between many synchronous calls', async () => {
  const { make } = calls();
  let turns = 0;
  const turn = (): void => {
    turns++;
    timer = setImmediate(turn);
  };
  let timer = setImmediate(turn);
  for (let call = 0; call < 40; call++) await make(0.5);
  clearImmediate(timer);
  expect(turns).toBeGreaterThanOrEqual(3);
});
