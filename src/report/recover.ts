import { grouped } from '../bytes/encodings.ts';
import { oneLine } from '../bytes/text.ts';
import { hex } from '../format/problem.ts';
import type { BlockReport, MovedRun, RecoverReport } from '../recover/report.ts';
import { SLOT_STATES, type SlotCounts, type SlotRun } from '../salvage/page-slots.ts';
import { jsonLine, type Style } from './reporter.ts';
import { plural } from './text.ts';

/** Per page; JSON has all runs. */
const MAX_PRINTED_RUNS = 8;

/** Kinds whose consecutive blocks share a line. */
const RANGE_TEXT = {
  missing: 'counted by the file header, but after the end of the file; lost',
  uncounted: 'after the blocks that the file header counts, so not part of the file; left out',
} as const;

/** A report for people. Intact blocks appear only in the summary. */
export class RecoverText {
  readonly #style: Style;
  #range: { kind: keyof typeof RANGE_TEXT; from: number; to: number } | undefined;

  constructor(style: Style) {
    this.#style = style;
  }

  /** Begins with the range of blocks that ends before this one. */
  *block(report: BlockReport): Generator<string> {
    const { block, kind } = report;
    if (this.#range?.kind === kind && this.#range.to === block - 1) {
      this.#range.to = block;
      return;
    }
    yield* this.end();
    if (kind === 'missing' || kind === 'uncounted') this.#range = { kind, from: block, to: block };
    else if (!isIntact(report)) yield* this.#lines(report);
  }

  *end(): Generator<string> {
    if (this.#range === undefined) return;
    const { kind, from, to } = this.#range;
    this.#range = undefined;
    const line = `${from === to ? `block ${from}` : `blocks ${from} to ${to}`}: ${RANGE_TEXT[kind]}`;
    yield `${kind === 'missing' ? this.#style.error(line) : line}\n`;
  }

  *#lines(report: BlockReport): Generator<string> {
    const { block, kind, problems, note, runs } = report;
    yield `${this.#style.heading(`block ${block}`)}: ${this.#headline(report)}${note === undefined ? '' : `; ${oneLine(note)}`}\n`;
    for (const { code, message, count } of problems) {
      yield `  ${code}${count > 1 ? ` (${grouped(count)} times)` : ''}: ${oneLine(message)}\n`;
    }
    if (kind === 'page') yield* this.#slots(runs());
  }

  #headline(report: BlockReport): string {
    const { kind, format, slots, lostBytes, movedNodes } = report;
    if (kind === 'header') return `file header${headerText(report)}`;
    if (kind === 'misplaced') return this.#style.error('has the page of another block; its own is lost');
    if (kind === 'unknown') return this.#style.error(`neither a page nor free; ${plural(lostBytes, 'byte')} lost`);
    const parts = [`${format === 'v2' ? 'V2' : 'V1'} page, ${basisText(report)}`, countsText(slots)];
    if (movedNodes > 0) parts.push(`${plural(movedNodes, 'node')} moved`);
    if (lostBytes > 0) parts.push(this.#style.error(`${plural(lostBytes, 'byte')} of nodes lost`));
    return parts.join('; ');
  }

  *#slots(runs: Iterable<SlotRun>): Generator<string> {
    let named = 0;
    for (const { from, to, state } of runs) {
      if (state === 'sound' || state === 'unverified') continue;
      if (++named > MAX_PRINTED_RUNS) continue;
      const slots = from === to ? `slot ${from}` : `slots ${from} to ${to}`;
      const style = state === 'lost' ? this.#style.error : this.#style.warning;
      yield `  ${slots}: ${style(state)}\n`;
    }
    if (named > MAX_PRINTED_RUNS) yield `  and ${grouped(named - MAX_PRINTED_RUNS)} more\n`;
  }
}

const HEADER_TEXT = {
  derived: 'repaired with the help of its checksum',
  'commit record': 'taken from the last commit record',
  'header copy': 'taken from its copy',
  lost: 'the number of blocks is taken from the file size',
} as const;

function headerText({ source = 'lost', problems }: BlockReport): string {
  const isOld = problems.some(({ code }) => code === 'FILE_HEADER_OLD');
  const state = isOld ? ', out of date' : source === 'block 0' || source === 'derived' ? '' : ', lost';
  if (source === 'block 0') return state;
  return source === 'derived' ? `, ${HEADER_TEXT.derived}` : `${state}; ${HEADER_TEXT[source]}`;
}

function isIntact({ kind, basis, problems, source, lostBytes, note }: BlockReport): boolean {
  if (kind === 'free' || kind === 'unwritten') return true;
  if (kind === 'header') return source === 'block 0' && problems.length === 0;
  return kind === 'page' && basis === 'header' && problems.length === 0 && lostBytes === 0 && note === undefined;
}

function basisText({ basis, flippedBit, isSealed }: BlockReport): string {
  if (basis === 'flipped bit')
    return `bit ${flippedBit?.bit ?? 0} of byte ${grouped(flippedBit?.offset ?? 0)} flipped back`;
  if (basis === 'new header') return 'repaired with a new header that matches its checksum';
  if (basis === 'commit record') return 'repaired with the header in a commit record';
  if (basis !== 'directory') return isSealed ? 'damaged; finalized' : 'copied';
  return isSealed ? 'found by its slots; finalized' : 'repaired with slots that follow from their neighbours';
}

/** `39 sound, 1 lost`. */
function countsText(slots: SlotCounts): string {
  const parts = SLOT_STATES.filter((state) => slots[state] > 0).map((state) => `${grouped(slots[state])} ${state}`);
  return parts.length === 0 ? 'no slots' : parts.join(', ');
}

export function movedText({ block, slot, newBlock, newSlot, count }: MovedRun): string {
  return `moved: ${formatSpan(block, slot, count)} is now ${formatSpan(newBlock, newSlot, count)}\n`;
}

/** As commands accept it. */
function formatSpan(block: number, slot: number, count: number): string {
  return count === 1 ? `${block}:${slot}` : `${block}:${slot}-${slot + count - 1}`;
}

export function* recoverSummaryText(summary: RecoverReport, style: Style): Generator<string> {
  const { file, target, pages, intactPages, nodes, slots, freeBlocks, unwrittenBlocks, lostBlocks } = summary;
  const { unreservedBlocks, lostBytes, movedNodes } = summary;
  const blocks = [
    `${grouped(intactPages)} of ${plural(pages, 'page')} intact`,
    ...(freeBlocks > 0 ? [plural(freeBlocks, 'free block')] : []),
    ...(unwrittenBlocks > 0 ? [`${plural(unwrittenBlocks, 'block')} never written`] : []),
    ...(lostBlocks > 0 ? [style.error(`${plural(lostBlocks, 'block')} lost`)] : []),
  ];
  yield `${oneLine(file)}: ${blocks.join(', ')}\n`;
  if (unreservedBlocks > 0) {
    const lost = plural(unreservedBlocks, 'lost block');
    yield style.warning(`${lost} at the end not replaced by empty pages: new nodes can get their refs`) + '\n';
  }
  if (summary.missing !== undefined) yield style.error(summary.missing) + '\n';
  if (summary.rootReason !== undefined) yield style.warning(rootText(summary, summary.rootReason)) + '\n';
  const states = nodes > 0 ? ` (${countsText({ ...slots, lost: 0 })})` : '';
  const parts = [
    `${plural(nodes, 'node')} recovered${states}`,
    ...(slots.lost > 0 ? [style.error(`${plural(slots.lost, 'node')} lost, their slots marked`)] : []),
    ...(lostBytes > 0 ? [style.error(`${plural(lostBytes, 'byte')} without a slot lost`)] : []),
    ...(movedNodes > 0 ? [`${plural(movedNodes, 'node')} moved`] : []),
  ];
  yield `${oneLine(target)}: ${parts.join('; ')}\n`;
}

function rootText({ root, rootPointer }: RecoverReport, reason: string): string {
  const pointer = hex(rootPointer, 16);
  if (root === 'kept') return `root pointer ${pointer} kept, although ${reason}`;
  return root === 'dropped' ? `root pointer ${pointer} dropped: ${reason}` : `no root pointer: ${reason}`;
}

/** A line for the block, and one for each run of slots with the same state. */
export function* blockReportJson(report: BlockReport): Generator<string> {
  const { runs, ...fields } = report;
  yield jsonLine('block', fields);
  for (const { from, to, state } of runs()) yield jsonLine('slots', { block: report.block, from, to, state });
}

export function movedJson({ block, slot, newBlock, newSlot, count }: MovedRun): string {
  return jsonLine('moved', { from: formatSpan(block, slot, count), to: formatSpan(newBlock, newSlot, count), count });
}
