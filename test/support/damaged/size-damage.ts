import { B, type Damage, error, info, warning } from './draft.ts';

const BEYOND = error('BLOCK_COUNT_BEYOND_FILE', 0, 24);
const COUNT = warning('ENTRY_COUNT', 0, 40);

/** Files that end in the wrong place, and files that are not page files. */
export const SIZE_DAMAGE: Readonly<Record<string, Damage>> = {
  'not-a-page-file': {
    base: 'v1.part',
    description: 'A text file.',
    change: (file) => {
      file.edit({ op: 'truncate', bytes: 0 });
      file.edit({ op: 'extend', bytes: 300_000, hex: Buffer.from('just a line of text\n').toString('hex') });
    },
    expect: [],
    error: 'NOT_A_PAGE_FILE',
  },
  'empty-file': {
    base: 'v1.part',
    description: 'A file of 0 bytes.',
    change: (file) => file.edit({ op: 'truncate', bytes: 0 }),
    expect: [],
    error: 'NOT_A_PAGE_FILE',
  },
  'cut-in-file-header': {
    base: 'v1.part',
    description: 'The file ends after 40 bytes, inside its header.',
    change: (file) => file.edit({ op: 'truncate', bytes: 40 }),
    expect: [],
    error: 'NOT_A_PAGE_FILE',
  },
  'cut-in-block-0': {
    base: 'v1.part',
    description: 'The file ends in block 0.',
    change: (file) => file.edit({ op: 'truncate', bytes: 5000 }),
    expect: [error('FILE_SIZE', 0, 0), BEYOND, COUNT],
  },
  'cut-between-blocks': {
    base: 'v1.part',
    description: 'The last block is missing.',
    change: (file) => file.edit({ op: 'truncate', bytes: 2 * B }),
    expect: [BEYOND, COUNT],
  },
  'cut-in-a-page': {
    base: 'v1.part',
    description: 'The file ends in the middle of its last page.',
    change: (file) => file.edit({ op: 'truncate', bytes: 2 * B + 100_000 }),
    expect: [error('FILE_SIZE', 2, 0), BEYOND, COUNT],
  },
  'cut-in-a-page-header': {
    base: 'v2.part',
    description: 'The file ends in the header of its last page.',
    change: (file) => file.edit({ op: 'truncate', bytes: 2 * B + 30 }),
    expect: [error('FILE_SIZE', 2, 0), BEYOND, COUNT],
  },
  'bytes-behind': {
    base: 'v1.part',
    description: 'A thousand bytes after the last block, as of a batch that was being written.',
    change: (file) => file.edit({ op: 'extend', bytes: 1000, hex: 'c0ffee' }),
    expect: [info('FILE_SIZE', 3, 0)],
  },
  'blocks-behind': {
    base: 'v1.part',
    description: 'Two blocks that the header does not count: a page with a checksum, and one of zeros.',
    change: (file) => {
      file.edit({ op: 'extend', bytes: 2 * B, hex: '00' });
      file.edit({ op: 'copy', from: 2 * B, to: 3 * B, bytes: B });
    },
    expect: [info('BLOCKS_UNCOUNTED', 0, 24)],
  },
  'blocks-behind-of-another-program': {
    base: 'v1.part',
    description: 'A page without a checksum after the blocks that the header counts: another program may count it.',
    change: (file) => {
      file.edit({ op: 'extend', bytes: B, hex: '00' });
      file.set(3 * B, Buffer.from('BYTARANA'));
      file.u16(3 * B + 8, 1);
      file.u32(3 * B + 16, 64);
      file.u32(3 * B + 20, B);
    },
    expect: [info('BLOCKS_UNCOUNTED', 0, 24), warning('BLOCKS_UNCOUNTED', 3, 0)],
  },
  'block-count-zero': {
    base: 'v1.part',
    description: 'blockCount is 0, with a valid checksum.',
    change: (file) => {
      file.u32(24, 0);
      file.sealHeader();
    },
    expect: [BEYOND],
  },
  'block-count-too-low': {
    base: 'v2.part',
    description: 'blockCount is one too low, with a valid checksum: the last page is not part of the file.',
    change: (file) => {
      file.u32(24, 2);
      file.sealHeader();
    },
    expect: [info('BLOCKS_UNCOUNTED', 0, 24), error('PAGES_DIGEST', 0, 96), COUNT],
  },
};
