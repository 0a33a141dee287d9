import { assertBytes } from './arguments.ts';
import type { NodeAppender } from './node-appender.ts';
import { joinRuns, type RefRun } from './page-ref.ts';

/**
 * Appends nodes in their order, in batches; where it fails, earlier batches stay.
 * @param committed - hears of what has become durable
 */
export async function appendAll(
  appender: NodeAppender,
  nodes: Iterable<Uint8Array>,
  committed: (runs: RefRun[]) => RefRun[],
): Promise<RefRun[]> {
  const runs: RefRun[] = [];
  try {
    for (const node of nodes) {
      assertBytes(node);
      while (!appender.stage(node, 0, node.length)) runs.push(...committed(await appender.makeRoom(node.length)));
    }
  } catch (error) {
    appender.reset();
    throw error;
  }
  runs.push(...committed(await appender.commit()));
  return joinRuns(runs);
}

/**
 * Appends nodes that stand end to end in `bytes`, in batches; where it fails, earlier batches stay.
 * @param committed - hears of what has become durable
 */
export async function appendEndToEnd(
  appender: NodeAppender,
  bytes: Uint8Array,
  lengths: Uint32Array,
  committed: (runs: RefRun[]) => RefRun[],
): Promise<RefRun[]> {
  const runs: RefRun[] = [];
  let at = 0;
  try {
    for (let next = 0; next < lengths.length;) {
      const staged = appender.stageMany(bytes, at, lengths, next, lengths.length);
      for (const end = next + staged; next < end; next++) at += lengths[next] as number; // next < end <= lengths.length
      if (next < lengths.length) runs.push(...committed(await appender.makeRoom(lengths[next] as number))); // just compared
    }
  } catch (error) {
    appender.reset();
    throw error;
  }
  runs.push(...committed(await appender.commit()));
  return joinRuns(runs);
}
