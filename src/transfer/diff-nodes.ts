import { KeyMap } from '../arena/key-map.ts';
import { equalRange } from '../bytes/range.ts';
import type { ComparedFile } from './compared-file.ts';
import type { DifferenceLog } from './difference.ts';
import { type Anchor, type EditScript, editsByAnchors, replaced, shortestEdits } from './edit-script.ts';
import { findLandmarks } from './landmarks.ts';
import { NodeStream } from './node-stream.ts';

/** Nodes of each file that are looked at together, and most edits that are looked for among them: the first that bring the files in step are taken. */
const LEVELS: readonly { readonly nodes: number; readonly edits: number }[] = [
  { nodes: 64, edits: 128 },
  { nodes: 1024, edits: 256 },
];

/** As many nodes of each file are looked at where that was not enough. */
const MOST_NODES = 65_536;

/**
 * Compares the sequences of nodes of two files, wherever the nodes are. Where they differ, it looks for the place from
 * which they are the same again: a little ahead first, then further, and at last in all of the files.
 */
export async function diffNodes(
  a: ComparedFile,
  b: ComparedFile,
  log: DifferenceLog,
  onBlock: () => Promise<void>,
): Promise<void> {
  const inA = new NodeStream(a, 'a', log, onBlock);
  const inB = new NodeStream(b, 'b', log, onBlock);
  let landmarks: readonly Anchor[] | undefined;
  while (!log.isStopped && !log.isMuted && (await inA.ready()) && (await inB.ready())) {
    if (!skipSame(inA, inB)) continue;
    const script = log.stopsAtFirst ? replaced(1, 0) : await nextScript(inA, inB);
    if (log.isMuted) break;
    if (script) {
      await tellScript(inA, inB, script, log);
      continue;
    }
    landmarks ??= await findLandmarks(a, b, onBlock);
    const shift = shiftBefore(landmarks, inA.position, inB.position);
    if (shift > 0) await tellNext('added', inB, shift, log);
    else if (shift < 0) await tellNext('removed', inA, -shift, log);
    else await tellScript(inA, inB, replaced(inA.window.count, inB.window.count), log);
  }
  // Behind damage the rest is read for the damage that is in it.
  // Of one file, or of both, nothing is left.
  await tellNext('removed', inA, Infinity, log);
  await tellNext('added', inB, Infinity, log);
}

/** How many more nodes of b than of a come before the next landmark: with them out of the way, the files are in step there. */
function shiftBefore(landmarks: readonly Anchor[], x: number, y: number): number {
  const next = landmarks.find((anchor) => anchor.x >= x && anchor.y >= y);
  return next === undefined ? 0 : next.y - y - (next.x - x);
}

/** Goes past nodes that are the same, as far as they can be looked at. @returns whether the next ones differ */
function skipSame(inA: NodeStream, inB: NodeStream): boolean {
  const [pageA, pageB] = [inA.wholePage, inB.wholePage];
  // Pages that are the same to the last byte need no look at their nodes.
  const isSame = pageA !== undefined && pageB !== undefined && Buffer.compare(pageA.block, pageB.block) === 0;
  const count = Math.min(inA.left, inB.left);
  const [sourceA, sourceB] = [inA.source, inB.source];
  let same = isSame ? count : 0;
  for (; same < count; same++) {
    const bytes = inA.nodeBytes(same);
    if (bytes !== inB.nodeBytes(same)) break;
    if (!equalRange(sourceA, inA.nodeOffset(same), sourceB, inB.nodeOffset(same), bytes)) break;
  }
  inA.skip(same);
  inB.skip(same);
  return same < count;
}

/** How the next nodes of a become those of b; undefined where they have too little in common to say. */
async function nextScript(inA: NodeStream, inB: NodeStream): Promise<EditScript | undefined> {
  for (const { nodes, edits } of LEVELS) {
    const { a, b, isEnd } = await numbered(inA, inB, nodes);
    const script = shortestEdits(a, b, isEnd, edits);
    if (script) return script;
  }
  const { a, b, ids, isEnd } = await numbered(inA, inB, MOST_NODES);
  const script = editsByAnchors(a, b, ids, isEnd);
  // A few anchors among many nodes are by chance, or far from the next ones. To go on behind them would mean to look at
  // these nodes over and over.
  if (script && (isEnd || script.aEnd + script.bEnd >= MOST_NODES / 2)) return script;
  if (isEnd) return replaced(a.length, b.length);
  // What is left of a file that ends may be what comes last in the other one.
  if (inA.isEnd) return replaced(0, b.length);
  return inB.isEnd ? replaced(a.length, 0) : undefined;
}

interface Numbered {
  readonly a: Int32Array;
  readonly b: Int32Array;
  /** Numbers are below this. */
  readonly ids: number;
  /** Whether both files end with these nodes. */
  readonly isEnd: boolean;
}

/** A number for each of the next nodes of both files: the same for equal ones alone. */
async function numbered(inA: NodeStream, inB: NodeStream, nodes: number): Promise<Numbered> {
  // One more than is looked at, to know whether there is more.
  await inA.fill(nodes + 1);
  await inB.fill(nodes + 1);
  const ids = new KeyMap<never>();
  const a = inA.window.numbered(nodes, ids);
  const b = inB.window.numbered(nodes, ids);
  const isEnd = inA.isEnd && inB.isEnd && a.length === inA.window.count && b.length === inB.window.count;
  return { a, b, ids: ids.size, isEnd };
}

async function tellScript(inA: NodeStream, inB: NodeStream, script: EditScript, log: DifferenceLog): Promise<void> {
  for (const edit of script.edits) {
    const told = edit < 0 ? tellNode('added', inB, ~edit, log) : tellNode('removed', inA, edit, log);
    if (told) await told;
  }
  inA.skip(script.aEnd);
  inB.skip(script.bEnd);
}

/** Tells of the next nodes of a file, as many as there are up to `nodes`, and goes past them. */
async function tellNext(
  type: 'added' | 'removed',
  stream: NodeStream,
  nodes: number,
  log: DifferenceLog,
): Promise<void> {
  for (let rest = nodes; rest > 0 && !log.isStopped && (await stream.ready());) {
    const count = Math.min(stream.left, rest);
    for (let index = 0; index < count && !log.isStopped; index++) {
      const told = tellNode(type, stream, index, log);
      if (told) await told;
    }
    stream.skip(count);
    rest -= count;
  }
}

function tellNode(
  type: 'added' | 'removed',
  stream: NodeStream,
  index: number,
  log: DifferenceLog,
): void | Promise<void> {
  return log.add({ type, block: stream.block(index), slot: stream.slot(index), bytes: stream.nodeBytes(index) });
}
