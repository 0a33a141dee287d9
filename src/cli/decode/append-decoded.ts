import { PAUSE_MS } from '../append-limits.ts';
import type { AppendRun } from '../append-run.ts';
import { type Context, Interrupted } from '../context.ts';
import type { TextEncoding } from '../encoding.ts';
import { type Input, type InputEvent, InputReader, type InputTarget } from '../input.ts';
import type { Progress } from '../progress.ts';
import { DecodePipeline } from './decode-pipeline.ts';
import type { ManyFraming } from './segment.ts';
import { SegmentFeed } from './segment-feed.ts';

/** Read at once: as a pipe holds. */
const CHUNK_BYTES = 65_536;

export interface DecodingOptions {
  readonly framing: ManyFraming;
  readonly encoding: TextEncoding;
  /** Threads that decode. */
  readonly jobs: number;
}

/** Stages the nodes of an input of hex or base64, which threads decode. But for the time it takes, it is as if there were none. */
export async function appendDecoded(
  context: Context,
  run: AppendRun,
  input: Input,
  { framing, encoding, jobs }: DecodingOptions,
  progress: Progress,
): Promise<void> {
  const sink = (bytes: Uint8Array, lengths: Uint32Array): Promise<boolean> => stageAll(run, bytes, lengths);
  const pipeline = new DecodePipeline(jobs, framing, encoding, sink, context.signal);
  try {
    await feedAll(context, run, input, new SegmentFeed(pipeline, framing), progress);
  } finally {
    await pipeline.close();
  }
}

async function feedAll(
  context: Context,
  run: AppendRun,
  input: Input,
  feed: SegmentFeed,
  progress: Progress,
): Promise<void> {
  const chunk = new InputChunk();
  const reader = new InputReader(input.source, chunk, context.signal);
  let inputBytes = 0;
  let next = readAhead(reader);
  while (!run.isOver) {
    const event = await eventOf(next, feed, run.hasStaged || feed.hasUnstaged);
    if (event === 'pause') {
      await feed.flush();
      await run.commit();
      continue;
    }
    if (event.kind !== 'bytes') return feed.end();
    await feed.push(chunk.bytes);
    inputBytes += event.bytes;
    // The chunk has been copied, so the next one may be read while nodes are staged.
    next = readAhead(reader);
    await feed.takeDecoded();
    if (run.isDue(feed.hasUnstaged)) {
      await feed.flush();
      await run.commit();
    }
    await progress.update(inputBytes, input.totalBytes);
  }
}

/** Begins to read. What comes may be an error that nobody waits for yet, or ever. */
function readAhead(reader: InputReader): Promise<InputEvent> {
  const next = reader.nextEvent(false);
  next.catch(() => undefined);
  return next;
}

/** Waits for what is read. @param mayPause - whether the answer is a pause after so long without input */
async function eventOf(next: Promise<InputEvent>, feed: SegmentFeed, mayPause: boolean): Promise<InputEvent | 'pause'> {
  let timer: NodeJS.Timeout | undefined;
  try {
    if (!mayPause) return await next;
    // Once it has paused there is nothing more to stage: a chunk that is long in coming is waited for twice at most.
    const pause = new Promise<'pause'>((resolve) => (timer = setTimeout(resolve, PAUSE_MS, 'pause')));
    return await Promise.race([next, pause]);
  } catch (error) {
    // What came before the input failed is staged, as it is without threads.
    if (!(error instanceof Interrupted)) await feed.flush();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** @returns whether the run takes more */
async function stageAll(run: AppendRun, bytes: Uint8Array, lengths: Uint32Array): Promise<boolean> {
  let start = 0;
  for (let next = 0; next < lengths.length && !run.isOver;) {
    const staged = run.tryAddMany(bytes, start, lengths, next);
    for (const end = next + staged; next < end; next++) start += lengths[next] as number; // next < end <= lengths.length
    if (next === lengths.length) break;
    const end = start + (lengths[next++] as number); // next < lengths.length
    await run.add(bytes, start, end);
    start = end;
  }
  return !run.isOver;
}

/** What was read last, until it is in a segment. */
class InputChunk implements InputTarget {
  readonly #buffer = new Uint8Array(CHUNK_BYTES);
  #bytes = 0;

  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#bytes);
  }

  target(): Uint8Array {
    return this.#buffer;
  }

  filled(bytes: number): void {
    this.#bytes = bytes;
  }
}
