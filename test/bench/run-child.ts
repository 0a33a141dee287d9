// One contender, in a process of its own. It opens its file, then does a round whenever it is told to.
// Arguments: the contender's number, its folder, the nodes of a round, the nodes in all, where things are loaded from.

import { CONTENDERS } from './contenders/durable-append.ts';
import type { Sources } from './peer.ts';
import { assertNodes, nodesFrom } from './payload.ts';

/** What the parent may ask for, and what comes back when it is done. */
export type Order = 'round' | 'check';
export type Answer = { readonly microseconds?: number; readonly facts?: readonly string[] };

const [number, folder = '', perRound, capacity, sources = ''] = process.argv.slice(2);
const contender = CONTENDERS[Number(number)]!;
const running = await contender.open(JSON.parse(sources) as Sources, folder, Number(capacity));
let appended = 0;

process.on('message', (order: Order) => {
  (order === 'round' ? round() : check()).then(tell, (error: unknown) => {
    console.error(`${contender.name}:`, error);
    process.exit(1);
  });
});
// Without its parent it has nobody to answer.
process.once('disconnect', () => process.exit());
tell({ facts: running.facts ?? [] });

async function round(): Promise<Answer> {
  // Made before the clock starts: what is measured is the append.
  const nodes = nodesFrom(appended, Number(perRound));
  const began = process.hrtime.bigint();
  await running.append(nodes);
  const took = process.hrtime.bigint() - began;
  appended += nodes.length;
  return { microseconds: Number(took) / 1000 / nodes.length };
}

async function check(): Promise<Answer> {
  assertNodes(await running.readBack(), appended);
  return {};
}

function tell(answer: Answer): void {
  process.send?.(answer);
}
