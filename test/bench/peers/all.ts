import type { Peer } from '../peer.ts';
import { artriePages } from './artrie-pages.ts';
import { bare } from './bare.ts';
import { level } from './level.ts';
import { lmdb } from './lmdb.ts';
import { sqlite } from './sqlite.ts';

/** All that are measured, in the order of the tables. */
export const PEERS: readonly Peer[] = [artriePages('v1'), artriePages('v2'), lmdb, sqlite, level, bare];
