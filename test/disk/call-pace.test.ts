import { expect, test } from 'vitest';
import { type CallHistory, CallScheduler } from '../../src/disk/node-block-file.ts';

/** Calls that take as many milliseconds as they say, and where each was made. */
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

test('a call is made here until one takes long, and here again after a short one', async () => {
  const { made, make } = calls();
  for (const milliseconds of [0.1, 1, 1.1, 5, 0.9, 0.2]) await make(milliseconds);
  expect(made).toEqual(['here', 'here', 'here', 'elsewhere', 'elsewhere', 'here']);
});

test('long calls of one kind say nothing of another', async () => {
  const { made, make } = calls();
  await make(30);
  await make(0.1, { isSlow: false });
  await make(0.1);
  expect(made).toEqual(['here', 'here', 'elsewhere']);
});

test('the result of a call is that of who made it, and so is its error', async () => {
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

test('calls that are made here one after the other let timers and input have their turn', async () => {
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
