import type { Command } from 'commander';
import { otherFileMessage } from '../../disk/journal.ts';
import { CommittedView } from '../../disk/committed-view.ts';
import { RawBlocks } from '../../salvage/block-kind.ts';
import { betweenBlocks } from '../../disk/long-work.ts';
import { openBlockFile } from '../../disk/node-block-file.ts';
import { PageStoreError } from '../../errors.ts';
import type { CommitRecord } from '../../format/commit-record.ts';
import { copyHash, digestIn } from '../../format/digest.ts';
import { BLOCK_BYTES } from '../../format/layout.ts';
import { decodePage, type Page } from '../../format/page.ts';
import { hex } from '../../format/problem.ts';
import { fileHeaderRegions, pageRegions, type Region } from '../../format/regions.ts';
import { plural } from '../../report/text.ts';
import { hexdump } from '../../view/hexdump.ts';
import { OtherBlocks } from '../../view/other-blocks.ts';
import { type BlockRow, blockTableRow, fileHeaderTable, nodeDump, pageRow, pageTable } from '../../view/tables.ts';
import { blocksText, type CommandRun, type StartCommand, withOpen } from '../command.ts';
import { blockId, type CommonOptions, parseSingleRef } from '../options.ts';

interface DumpOptions extends CommonOptions {
  readonly block?: number;
  readonly slot?: string;
  readonly hex?: boolean;
}

export function addDump(command: Command, start: StartCommand): void {
  command
    .description('inspect a file, damaged or not: its header and blocks, one block, or one node')
    .argument('<file>', 'the page file')
    .option('--block <id>', 'one block: header fields, directory, nodes', blockId)
    .option('--slot <ref>', 'one node, block:slot')
    .option('--hex', 'a hexdump with the name of each region (default: block 0)')
    .action((file: string, options: DumpOptions) => start(options, (run) => dump(run, file, options)));
}

async function dump(run: CommandRun, path: string, { block, slot, hex = false }: DumpOptions): Promise<void> {
  const ref = slot === undefined ? undefined : parseSingleRef(slot, path);
  await withOpen(openBlockFile(path, 'read'), async (file) => {
    const blocks = await RawBlocks.open(file);
    if (ref !== undefined) await dumpNode(run, blocks, ref);
    else if (block !== undefined || hex) await dumpBlock(run, blocks, block ?? 0, hex);
    else await dumpFile(run, blocks);
    await run.summary(path, { bytes: blocks.fileBytes, blocks: blocks.wholeBlocks });
  });
}

async function dumpFile(run: CommandRun, blocks: RawBlocks): Promise<void> {
  const view = await CommittedView.open(blocks.file, run.signal);
  await dumpFileHeader(run, blocks, view);
  await run.text(['\n', blockTableRow()]);
  const others = await OtherBlocks.open(blocks, view, run.signal);
  const target = new Uint8Array(BLOCK_BYTES);
  await run.withProgress({ what: blocks.file.name, unit: blocksText, hasRows: true }, async (progress) => {
    for (let block = 1; block < blocks.startedBlocks && !run.stdout.closed; block++) {
      const pause = betweenBlocks(block, blocks.startedBlocks, { signal: run.signal });
      if (pause) await pause;
      run.signal.throwIfAborted();
      const row = await blockRow(blocks, block, others, target);
      await run.text([blockTableRow(row)]);
      await run.json('block', () => row);
      await progress.update(block, blocks.startedBlocks);
    }
  });
}

/** The file header as it is in block 0, and the commit records and journal that have not been applied to it. */
async function dumpFileHeader(run: CommandRun, blocks: RawBlocks, view: CommittedView): Promise<void> {
  await run.text(fileHeaderTable(blocks.block0, (record) => COMMIT_NOTES[commitState(view, record)]));
  await run.json('header', () => blocks.header);
  const { kind, state } = digestIn(blocks.block0);
  const digest = state && { ...state, sum: hex(copyHash(state.sum).value, 16) };
  await run.json('digest', () => ({ state: kind, ...digest }));
  for (const record of view.recovery.records) {
    const { sequence, block } = record;
    await run.json('commit', () => ({ sequence, block, state: commitState(view, record) }));
  }
  const { beforeImage, patches, otherFile } = view.recovery;
  if (otherFile) await run.text([`\n${otherFileMessage(otherFile)}\n`]);
  if (patches) {
    const changed = [...new Set(patches.map(({ position }) => Math.floor(position / BLOCK_BYTES)))];
    const where = changed.length === 1 ? `block ${changed.join()}` : plural(changed.length, 'block');
    await run.text([`\nthe journal contains ${plural(patches.length, 'change')} of a repair, in ${where}\n`]);
    await run.json('journal', () => ({ patches: patches.length, blocks: changed }));
  }
  if (beforeImage === undefined) return;
  await run.text([`\nthe journal contains block ${beforeImage.block} as it was before an update\n`]);
  await run.json('journal', () => ({ block: beforeImage.block }));
}

/** The state of a commit record, as JSON lines have it. */
type CommitState = 'home' | 'pending' | 'void' | 'superseded';

const COMMIT_NOTES: Readonly<Record<CommitState, string>> = {
  home: 'checkpointed: its headers are in their blocks',
  pending: 'pending: the next writer copies its headers to their blocks',
  void: 'void: never acknowledged, or its headers were changed later, as by update or finalize',
  superseded: 'superseded: a later commit replaced it',
};

function commitState(view: CommittedView, { sequence }: CommitRecord): CommitState {
  const { records, validRecords, pendingRecords } = view.recovery;
  if (pendingRecords.some((record) => record.sequence === sequence)) return 'pending';
  if (records.at(-1)?.sequence !== sequence) return 'superseded';
  return validRecords.at(-1)?.sequence === sequence ? 'home' : 'void';
}

async function blockRow(blocks: RawBlocks, block: number, others: OtherBlocks, target: Uint8Array): Promise<BlockRow> {
  if ((await blocks.read(block, target)) < BLOCK_BYTES) return others.cutOffRow(block);
  const page = decodePage(target);
  // A free list that leads to a page is wrong: no free block begins with a magic.
  if (page === undefined) return others.isFree(block) ? others.freeRow(block, target) : others.row(block, target);
  const row = pageRow(page, block);
  return block < blocks.header.blockCount ? row : { ...row, state: 'uncounted' };
}

async function dumpBlock(run: CommandRun, blocks: RawBlocks, block: number, hex: boolean): Promise<void> {
  const bytes = await readBlock(blocks, block);
  if (block >= blocks.wholeBlocks)
    await run.text([`block ${block} is cut off; the missing bytes are shown as zeros\n\n`]);
  const page = block === 0 ? undefined : decodePage(bytes);
  if (page) {
    const { format, header } = page;
    const reserved = Buffer.from(header.reserved).toString('hex');
    await run.json('page', () => ({ block, format, ...header, reserved }));
  }
  if (hex) {
    const noPage: Region[] = [{ kind: 'gap', start: 0, end: BLOCK_BYTES, name: 'not a page' }];
    const otherRegions = block === 0 ? fileHeaderRegions(bytes) : noPage;
    await run.text(hexdump(bytes, block, page ? pageRegions(page, block) : otherRegions));
  } else if (page) {
    await run.text(pageTable(page, block));
    for (let slot = 0; slot < page.directory.count; slot++) await run.json('slot', () => slotFields(page, block, slot));
  } else if (block === 0) {
    await dumpFileHeader(run, blocks, await CommittedView.open(blocks.file, run.signal));
  } else {
    const kind = (await blocks.freeList(run.signal)).blocks.has(block) ? 'on the free list' : 'not a page';
    await run.text([
      `block ${block} is ${kind}; its first 64 bytes:\n\n`,
      ...hexdump(bytes, block, [{ kind: 'gap', start: 0, end: 64, name: '' }]),
    ]);
  }
}

async function dumpNode(
  run: CommandRun,
  blocks: RawBlocks,
  { block, slot }: { readonly block: number; readonly slot: number },
): Promise<void> {
  const bytes = await readBlock(blocks, block);
  const { name: file } = blocks.file;
  if (block >= blocks.wholeBlocks) {
    throw new PageStoreError('FILE_SIZE', `block ${block} is cut off`, { file, block, offset: blocks.fileBytes });
  }
  const page = decodePage(bytes);
  if (page === undefined || slot >= page.directory.count) {
    const why = page === undefined ? 'is not a page' : `has ${page.directory.count} slots`;
    const message = `there is no node ${block}:${slot}: block ${block} ${why}`;
    throw new PageStoreError('SLOT_RANGE', message, { file, block, slot });
  }
  await run.text(nodeDump(page, block, slot));
  await run.json('slot', () => slotFields(page, block, slot));
}

function slotFields({ directory }: Page, block: number, slot: number): object {
  const [offset, bytes] = [directory.nodeOffset(slot), directory.nodeBytes(slot)];
  return { block, slot, entryOffset: directory.entryOffset(slot), offset, bytes };
}

async function readBlock(blocks: RawBlocks, block: number): Promise<Uint8Array> {
  if (block === 0) return blocks.block0;
  if (block >= blocks.startedBlocks) {
    const message = `there is no block ${block}: the file has blocks 0 to ${blocks.startedBlocks - 1}`;
    throw new PageStoreError('BLOCK_RANGE', message, { file: blocks.file.name, block });
  }
  const bytes = new Uint8Array(BLOCK_BYTES);
  await blocks.read(block, bytes);
  return bytes;
}
