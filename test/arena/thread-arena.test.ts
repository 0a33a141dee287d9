import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { buildSync } from 'esbuild';
import { describe, expect, test } from 'vitest';
import { KeyArena, threadArena, withArena } from '../../src/arena/key-arena.ts';
import { text } from '../support/nodes.ts';

const stale: unknown = expect.objectContaining({ code: 'STALE_KEY' });

describe('withArena', () => {
  test('passes the arena of the thread, and resets it afterwards', () => {
    let key = -1;
    const result = withArena((arena) => {
      expect(arena).toBe(threadArena);
      key = arena.add(text('a'));
      return 'result';
    });
    expect(result).toBe('result');
    expect(threadArena.keyCount).toBe(0);
    expect(() => threadArena.bytes(key)).toThrow(stale);
  });

  test('resets it also if the call throws', () => {
    let key = -1;
    const fail = (arena: KeyArena): void => {
      key = arena.add(text('a'));
      throw new Error('on purpose');
    };
    expect(() => withArena(fail)).toThrow('on purpose');
    expect(() => threadArena.bytes(key)).toThrow(stale);
    withArena((arena) => expect(arena).toBe(threadArena));
  });

  test('a key that outlives its call is refused by the arena of every other call', () => {
    let key = -1;
    withArena((arena) => (key = arena.add(text('first'))));
    const nest = (depth: number): void =>
      withArena((arena) => {
        arena.add(text('other'));
        expect(() => arena.bytes(key)).toThrow(stale);
        if (depth < 12) nest(depth + 1);
      });
    nest(0);
  });

  test('a key of one arena that is lent is refused by the others', () => {
    const other = new KeyArena();
    const nest = (outer: readonly number[]): void =>
      withArena((arena) => {
        const key = arena.add(text('own'));
        for (const each of outer) expect(() => arena.bytes(each)).toThrow(stale);
        expect(() => other.bytes(key)).toThrow(stale);
        if (outer.length < 12) nest([...outer, key]);
      });
    other.add(text('other'));
    nest([]);
  });

  test('does not touch the keys of an outer call, at any depth', () => {
    const nest = (depth: number): void =>
      withArena((arena) => {
        const key = arena.add(text(`depth ${depth}`));
        if (depth < 12) nest(depth + 1);
        if (depth < 12)
          expect(() =>
            withArena(() => {
              throw new Error('inner');
            }),
          ).toThrow('inner');
        expect(Buffer.from(arena.bytes(key)).toString()).toBe(`depth ${depth}`);
        expect(arena.keyCount).toBe(1);
      });
    nest(0);
    nest(0);
  });

  test('waits for a promise; other calls that run before it settles do not touch its keys', async () => {
    const { promise: gate, resolve: open } = (() => {
      let resolve = (): void => {};
      const promise = new Promise<void>((each) => (resolve = each));
      return { promise, resolve };
    })();
    let [held, key] = [undefined as KeyArena | undefined, -1];
    const waiting = withArena(async (arena) => {
      key = arena.add(text('held'));
      held = arena;
      await gate;
      return Buffer.from(arena.bytes(key)).toString();
    });
    withArena((arena) => {
      expect(arena).not.toBe(held);
      arena.add(text('other'));
    });
    await withArena(async (arena) => void arena.add(text('third')));
    expect(held?.keyCount).toBe(1);
    open();
    expect(await waiting).toBe('held');
    expect(() => held?.bytes(key)).toThrow(stale);
  });

  test('rejects with the error of the call, after the reset', async () => {
    let held: KeyArena | undefined;
    const failing = withArena(async (arena) => {
      arena.add(text('a'));
      held = arena;
      throw new Error('on purpose');
    });
    expect(held?.keyCount).toBe(1);
    await expect(failing).rejects.toThrow('on purpose');
    expect(held?.keyCount).toBe(0);
  });
});

test('each thread has an arena of its own, and arenas of other threads refuse its keys', async () => {
  const code = `
    import { parentPort } from 'node:worker_threads';
    import { KeyArena, threadArena, withArena } from './src/arena/key-arena.ts';
    const before = threadArena.keyCount;
    const key = threadArena.add(new Uint8Array(3));
    const others = Array.from({ length: 50 }, () => new KeyArena().add(new Uint8Array(3)));
    const length = threadArena.length(key);
    parentPort.postMessage([[before, length, withArena((arena) => arena === threadArena)], [key, ...others]]);
  `;
  const bundled = buildSync({
    stdin: { contents: code, resolveDir: '.' },
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
  });
  threadArena.reset();
  const keys = [threadArena.add(text('of this thread')), threadArena.add(text('and another'))];
  const url = new URL(`data:text/javascript,${encodeURIComponent(bundled.outputFiles[0]!.text)}`);
  const arenas = [threadArena, ...Array.from({ length: 9 }, () => new KeyArena())];
  const seen = new Set([threadArena.add(text('a')), ...arenas.slice(1).map((arena) => arena.add(text('a')))]);
  for (let thread = 0; thread < 4; thread++) {
    const worker = new Worker(url);
    const [found, foreign] = (await once(worker, 'message'))[0] as [unknown, number[]];
    expect(found).toEqual([0, 3, true]);
    for (const key of foreign) {
      expect(seen).not.toContain(key);
      seen.add(key);
      for (const arena of arenas) expect(() => arena.bytes(key)).toThrow(stale);
    }
    await worker.terminate();
  }
  expect(Buffer.from(threadArena.bytes(keys[0]!)).toString()).toBe('of this thread');
  expect(threadArena.keyCount).toBe(3);
  threadArena.reset();
});
