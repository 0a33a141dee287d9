import { median } from './report.ts';

/** Someone who is measured, again and again. */
export interface Entrant {
  readonly name: string;
  readonly engine: string;
  /** Only entrants of the same kind are compared, where an engine has one of that kind. */
  readonly kind?: string;
  /** @returns what the table is about, of this round */
  run(round: number): Promise<number>;
  end?(): void;
}

export interface Row {
  readonly name: string;
  readonly engine: string;
  readonly kind?: string;
  readonly rounds: readonly number[];
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Interleaved in rounds, so that a busy spell of a shared machine meets all; each round begins with another entrant. */
export async function race(entrants: readonly Entrant[], rounds: number, warmUp: number): Promise<Row[]> {
  const values = entrants.map((): number[] => []);
  try {
    for (let round = 0; round < warmUp + rounds; round++) {
      for (const step of entrants.keys()) {
        const number = (step + round) % entrants.length;
        const value = await entrants[number]!.run(round).catch((error: unknown) => {
          throw new Error(`${entrants[number]!.name}: ${error instanceof Error ? error.message : String(error)}`, {
            cause: error,
          });
        });
        if (round >= warmUp) values[number]!.push(value);
      }
    }
  } finally {
    for (const entrant of entrants) entrant.end?.();
  }
  return entrants.map((entrant, index) => rowOf(entrant, values[index]!));
}

export function rowOf(
  { name, engine, kind }: Pick<Entrant, 'name' | 'engine' | 'kind'>,
  rounds: readonly number[],
): Row {
  return {
    name,
    engine,
    ...(kind === undefined ? {} : { kind }),
    rounds,
    median: median(rounds),
    min: Math.min(...rounds),
    max: Math.max(...rounds),
  };
}
