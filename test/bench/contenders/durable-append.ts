import type { Contender } from '../contender.ts';
import { appendCalls, appendMany } from './artrie-pages.ts';
import { bareAsync, bareSync } from './bare.ts';
import { lmdbAsync, lmdbSync } from './lmdb.ts';
import { sqlite } from './sqlite.ts';

/** The contenders of one durable append; the first is what the others are divided by. */
export const CONTENDERS: readonly Contender[] = [
  bareSync,
  bareAsync,
  appendCalls('v1', 1),
  appendCalls('v2', 1),
  sqlite(1),
  lmdbSync(1),
  lmdbAsync(1),
  appendCalls('v1', 10),
  appendCalls('v2', 10),
  sqlite(10),
  lmdbSync(10),
  lmdbAsync(10),
  appendCalls('v1', 100),
  appendCalls('v2', 100),
  appendMany('v1', 100),
  appendMany('v2', 100),
  sqlite(100),
  lmdbSync(100),
  lmdbAsync(100),
  appendCalls('v1', 1000),
  appendCalls('v2', 1000),
  appendMany('v1', 1000),
  appendMany('v2', 1000),
  sqlite(1000),
  lmdbSync(1000),
  lmdbAsync(1000),
];
