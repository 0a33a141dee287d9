import { MAX_FRAME_BYTES } from './append-limits.ts';
import type { AppendRun } from './append-run.ts';
import type { Context } from './context.ts';
import { decodeFrame, type Encoding } from './encoding.ts';
import { Framer, type Framing } from './framing.ts';
import { type Input, InputReader } from './input.ts';
import { InputWindow } from './input-window.ts';
import type { Progress } from './progress.ts';

interface FrameOptions {
  readonly framing: Framing;
  readonly encoding: Encoding;
}

/** Room for a decoded node, for as long as no frame is longer. */
const DECODED_BYTES = 4096;

/** Stages the frames of an input, and commits where it pauses. */
export async function appendFrames(
  context: Context,
  run: AppendRun,
  input: Input,
  options: FrameOptions,
  progress: Progress,
): Promise<void> {
  const window = new InputWindow();
  const framer = new Framer(options.framing, window, MAX_FRAME_BYTES);
  const reader = new InputReader(input.source, window, context.signal);
  let decoded = new Uint8Array(options.encoding === 'raw' ? 0 : DECODED_BYTES);
  let inputBytes = 0;
  for (;;) {
    const event = await reader.nextEvent(run.hasStaged);
    if (event.kind === 'pause') {
      await run.commit();
      continue;
    }
    if (event.kind === 'end') framer.finish();
    while (framer.next()) {
      const { source, start, end } = framer;
      if (options.encoding !== 'raw') {
        if (end - start > decoded.length) decoded = new Uint8Array(MAX_FRAME_BYTES);
        const bytes = decodeFrame(source, start, end, options.encoding, decoded, 0);
        if (!run.tryAdd(decoded, 0, bytes)) await run.add(decoded, 0, bytes);
      } else if (!run.tryAdd(source, start, end)) {
        await run.add(source, start, end);
      }
      if (run.isOver) return;
    }
    if (event.kind === 'end') return;
    if (run.isDue(false)) await run.commit();
    inputBytes += event.kind === 'bytes' ? event.bytes : 0;
    await progress.update(inputBytes, input.totalBytes);
  }
}
