// A decoding thread. It loads neither commander nor the store.

import { parentPort, workerData } from 'node:worker_threads';
import { ConcurrentArena } from '../../arena/concurrent-arena.ts';
import { type DecoderSetup, type SegmentAnswer, SegmentDecoder, type SegmentTask } from './segment.ts';

const setup = workerData as DecoderSetup;
const shards = setup.arenas.map((descriptor) => ConcurrentArena.attach(descriptor).shard());
const decoder = new SegmentDecoder(setup.framing, setup.encoding);

parentPort?.on('message', ({ segment, turn, input, bytes }: SegmentTask) => {
  const shard = shards[turn] as (typeof shards)[number]; // one per turn
  const nodes = decoder.decode(new Uint8Array(input, 0, bytes), shard);
  parentPort?.postMessage({ segment, nodes } satisfies SegmentAnswer);
});
