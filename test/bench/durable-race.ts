import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './bundle.ts';
import { Child } from './child.ts';
import { CONTENDERS } from './contenders/durable-append.ts';
import type { Contender } from './contender.ts';
import type { Sources } from './peer.ts';

/** In a round: the first group after the others had their turn finds nothing in the processor's caches. */
const LEAST_GROUPS = 10;

export interface DurableOptions {
  /** Empty; each contender gets a folder in it. */
  readonly folder: string;
  readonly rounds: number;
  readonly warmUp: number;
  /** Nodes that each contender appends in a round; some whole groups, where those are larger. */
  readonly appends: number;
  readonly sources: Sources;
}

export interface DurableTimes {
  readonly contender: Contender;
  /** Microseconds per acknowledged append: the mean of each round, in the order of the rounds. */
  readonly rounds: readonly number[];
  readonly facts: readonly string[];
}

/** Lets contenders append durably, each in a process of its own; all data is read back and compared in the end. */
export async function raceDurably(
  { folder, rounds, warmUp, appends, sources }: DurableOptions,
  contenders: readonly Contender[] = CONTENDERS,
): Promise<DurableTimes[]> {
  const script = await bundle('run-child.ts', folder);
  const children: Child[] = [];
  try {
    const facts: (readonly string[])[] = [];
    for (const contender of contenders) {
      const number = CONTENDERS.indexOf(contender);
      const own = join(folder, String(number));
      mkdirSync(own);
      const perRound =
        contender.group * Math.max(Math.ceil(appends / contender.group), Math.min(LEAST_GROUPS, appends));
      const child = new Child(script, [
        ...[number, own, perRound, (rounds + warmUp) * perRound].map(String),
        JSON.stringify(sources),
      ]);
      children.push(child);
      facts.push((await child.ask()).facts ?? []);
    }
    const times = contenders.map((): number[] => []);
    for (let round = -warmUp; round < rounds; round++) {
      // Interleaved in short rounds, so that a busy spell of a shared machine meets all; each round begins with another contender.
      for (const step of contenders.keys()) {
        const number = (step + round + warmUp) % contenders.length;
        const { microseconds = NaN } = await children[number]!.ask('round');
        if (round >= 0) times[number]!.push(microseconds);
      }
    }
    for (const child of children) await child.ask('check');
    return contenders.map((contender, index) => ({ contender, rounds: times[index]!, facts: facts[index]! }));
  } finally {
    for (const child of children) child.end();
  }
}
