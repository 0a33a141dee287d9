import type { Command } from 'commander';
import { openBlockFile } from '../../disk/node-block-file.ts';
import { CommittedView } from '../../disk/committed-view.ts';
import { type BlockSet, RawBlocks } from '../../disk/free-list.ts';
import { nodeDump, pageTable } from '../../view/tables.ts';
import { type BlockRow, blockTableHead, blockTableRow, fileHeaderTable, pageRow } from '../../view/tables.ts';
import { hexdump } from '../../view/hexdump.ts';
import { PageStoreError } from '../../errors.ts';
import type { CommitRecord } from '../../format/commit-record.ts';
import { BLOCK_BYTES } from '../../format/layout.ts';
import { decodePage } from '../../format/page.ts';
import { decodeFreeLink } from '../../format/layout.ts';
import { fileHeaderRegions, pageRegions, type Region } from '../../format/regions.ts';
import { parseRef } from '../../store/page-ref.ts';
import { COMMIT_NOTES, commitState } from '../options.ts';
import type { Context } from '../context.ts';
import { blockId, type CommonOptions, withCommonOptions } from '../options.ts';
import { blocksText, Progress } from '../progress.ts';
import type { Runner } from '../context.ts';
import { Printer } from '../output.ts';

interface DumpOptions extends CommonOptions {
  readonly block?: number;
  readonly slot?: string;
  readonly hex?: boolean;
}

export function addDump(program: Command, run: Runner): void {
  withCommonOptions(program.command('dump'))
    .description('look into a file, damaged or not: header and blocks, one block, or one node')
    .argument('<file>')
    .option('--block <id>', 'one block: header fields, directory, nodes', blockId)
    .option('--slot <ref>', 'one node, block:slot')
    .option('--hex', 'as a hexdump in which each region has its name (block 0 unless told)')
    .action((file: string, options: DumpOptions) => run((context) => dump(context, file, options)));
}

async function dump(context: Context, path: string, options: DumpOptions): Promise<void> {
  const ref = options.slot === undefined ? undefined : parseRef(options.slot);
  if (ref && (ref.from === undefined || ref.from !== ref.to)) {
    throw new PageStoreError('INVALID_REF', `'${options.slot}' is not one node: write block:slot`, { file: path });
  }
  const file = await openBlockFile(path, 'read');
  try {
    const raw = await RawBlocks.open(file);
    const printer = new Printer(context, options);
    if (ref?.from !== undefined) await dumpNode(printer, raw, ref.block, ref.from);
    else if (options.block !== undefined || options.hex === true)
      await dumpBlock(printer, raw, options.block ?? 0, options.hex === true);
    else await dumpFile(context, printer, raw, options.quiet === true);
    await printer.summary('dump', path, { bytes: raw.fileBytes, blocks: raw.wholeBlocks });
  } finally {
    await file.close();
  }
}

async function dumpFile(context: Context, printer: Printer, raw: RawBlocks, quiet: boolean): Promise<void> {
  await dumpFileHeader(printer, raw);
  await printer.text(['\n', blockTableHead()]);
  const free = await raw.freeBlocks();
  const target = new Uint8Array(BLOCK_BYTES);
  const progress = new Progress(context, raw.file.name, blocksText, quiet || context.stdout.isTerminal);
  await progress.during(async () => {
    for (let block = 1; block < raw.startedBlocks && !printer.closed; block++) {
      context.signal.throwIfAborted();
      const row = await blockRow(raw, block, free, target);
      await printer.text([blockTableRow(row)]);
      await printer.json('block', () => row);
      await progress.update(block, raw.startedBlocks);
    }
  });
}

/** The file header as it stands in the file, whatever commit records say, and what is still to come of those. */
async function dumpFileHeader(printer: Printer, raw: RawBlocks): Promise<void> {
  const view = await CommittedView.open(raw.file);
  const note = (record: CommitRecord): string =>
    `${commitState(view, record)}: ${COMMIT_NOTES[commitState(view, record)]}`;
  await printer.text(fileHeaderTable(raw.header, raw.block0, note));
  await printer.json('header', () => raw.header);
  for (const record of view.recovery.records) {
    const { sequence, block } = record;
    await printer.json('commit', () => ({ sequence, block, state: commitState(view, record) }));
  }
  const { before, patches } = view.recovery;
  if (patches) {
    const blocks = [...new Set(patches.map(({ position }) => Math.floor(position / BLOCK_BYTES)))];
    const changes = `${patches.length} change${patches.length === 1 ? '' : 's'}`;
    const where = blocks.length === 1 ? `block ${blocks.join()}` : `${blocks.length} blocks`;
    await printer.text([`\nthe journal beside the file holds ${changes} of a repair, in ${where}\n`]);
    await printer.json('journal', () => ({ patches: patches.length, blocks }));
  }
  if (before === undefined) return;
  await printer.text([`\nthe journal beside the file holds block ${before.block} as it was before an update began\n`]);
  await printer.json('journal', () => ({ block: before.block }));
}

async function blockRow(raw: RawBlocks, block: number, free: BlockSet, target: Uint8Array): Promise<BlockRow> {
  if ((await raw.read(block, target)) < BLOCK_BYTES) return { block, kind: 'cut off' };
  const next = decodeFreeLink(new DataView(target.buffer, target.byteOffset).getBigUint64(0, true));
  if (free.has(block)) return { block, kind: 'free', next };
  const page = decodePage(target);
  if (page) {
    const row = pageRow(page, block);
    return block < raw.header.blockCount ? row : { ...row, state: 'uncounted' };
  }
  return { block, kind: next === 0 ? 'unwritten' : 'unknown' };
}

async function dumpBlock(printer: Printer, raw: RawBlocks, block: number, hex: boolean): Promise<void> {
  const bytes = await readBlock(raw, block);
  if (block >= raw.wholeBlocks)
    await printer.text([`block ${block} is cut off: what the file does not have is shown as zeros\n\n`]);
  const page = block === 0 ? undefined : decodePage(bytes);
  if (page)
    await printer.json('page', () => ({
      block,
      format: page.format,
      ...page.header,
      reserved: Buffer.from(page.header.reserved).toString('hex'),
    }));
  if (hex) {
    await printer.text(hexdump(bytes, block, page ? pageRegions(page, block) : otherRegions(block, bytes)));
  } else if (page) {
    await printer.text(pageTable(page, block));
    for (let slot = 0; slot < page.directory.count; slot++) {
      const [offset, length] = [page.directory.nodeOffset(slot), page.directory.nodeBytes(slot)];
      await printer.json('slot', () => ({
        block,
        slot,
        entryOffset: page.directory.entryOffset(slot),
        offset,
        bytes: length,
      }));
    }
  } else if (block === 0) {
    await dumpFileHeader(printer, raw);
  } else {
    const what = (await raw.freeBlocks()).has(block) ? 'on the free list' : 'no page';
    await printer.text([
      `block ${block} is ${what}; its first 64 bytes:\n\n`,
      ...hexdump(bytes, block, [{ kind: 'gap', start: 0, end: 64, name: '' }]),
    ]);
  }
}

function otherRegions(block: number, bytes: Uint8Array): Iterable<Region> {
  return block === 0 ? fileHeaderRegions(bytes) : [{ kind: 'gap', start: 0, end: BLOCK_BYTES, name: 'no page' }];
}

async function dumpNode(printer: Printer, raw: RawBlocks, block: number, slot: number): Promise<void> {
  const bytes = await readBlock(raw, block);
  assertWhole(raw, block);
  const page = decodePage(bytes);
  if (page === undefined || slot >= page.directory.count) {
    const why = page === undefined ? 'is no page' : `has ${page.directory.count} slots`;
    throw new PageStoreError('SLOT_RANGE', `there is no node ${block}:${slot}: block ${block} ${why}`, {
      file: raw.file.name,
      block,
      slot,
    });
  }
  await printer.text(nodeDump(page, block, slot));
  const { directory } = page;
  await printer.json('slot', () => ({
    block,
    slot,
    entryOffset: directory.entryOffset(slot),
    offset: directory.nodeOffset(slot),
    bytes: directory.nodeBytes(slot),
  }));
}

function assertWhole(raw: RawBlocks, block: number): void {
  if (block < raw.wholeBlocks) return;
  throw new PageStoreError('FILE_SIZE', `block ${block} is cut off`, {
    file: raw.file.name,
    block,
    offset: raw.fileBytes,
  });
}

async function readBlock(raw: RawBlocks, block: number): Promise<Uint8Array> {
  if (block === 0) return raw.block0;
  if (block >= raw.startedBlocks) {
    const message = `there is no block ${block}: the file has blocks 0 to ${raw.startedBlocks - 1}`;
    throw new PageStoreError('BLOCK_RANGE', message, { file: raw.file.name, block });
  }
  const bytes = new Uint8Array(BLOCK_BYTES);
  await raw.read(block, bytes);
  return bytes;
}
