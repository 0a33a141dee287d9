import { BLOCK_BYTES, fileOffset } from '../../../src/format/layout.ts';
import { nodeOf } from '../../../src/format/page.ts';
import { examinePage } from '../../../src/format/page-checks.ts';
import { decodeJournal } from '../../../src/format/journal.ts';
import { PageStore } from '../../../src/store/page-store.ts';
import { verify } from '../../../src/verify/verify.ts';
import { specBlockNodes } from '../spec-reader.ts';
import { type DiskState, StateFile } from './crash-disk.ts';
import { type Contents, type Oracle, textOf } from './oracle.ts';

/**
 * Opens a state as a reader, as libdictenstein, and as a writer, and holds what each finds against the oracle.
 * The state's image is changed: a writer recovers it.
 * @returns what is wrong, or undefined
 */
export async function judgeState(state: DiskState, oracle: Oracle): Promise<string | undefined> {
  const file = new StateFile(state);
  try {
    const asReader = await contentsOf(file, 'read');
    const wrong = oracle.judge(asReader) ?? judgeForeignView(state, oracle);
    if (wrong) return wrong;
    const findings = await seriousFindings(file, 'info');
    if (findings) return `verify before recovery: ${findings}`;
    if (file.writes > 0) return 'a reader has written to the file';

    const asWriter = await contentsOf(file, 'write');
    if (!isEqual(asReader, asWriter)) return 'recovery gives other nodes than a reader saw before it';
    const left = await seriousFindings(file, 'none');
    return left && `verify after recovery: ${left}`;
  } catch (error) {
    return String(error);
  }
}

/** Findings above a severity: what is behind the last block is only of interest before a writer has been there. */
async function seriousFindings(file: StateFile, allowed: 'info' | 'none'): Promise<string | undefined> {
  const codes: string[] = [];
  await verify(file, {
    onFinding: ({ severity, code, block }) => {
      if (severity !== allowed) codes.push(`${severity} ${code} ${block}`);
    },
  });
  return codes.length === 0 ? undefined : codes.slice(0, 5).join(', ');
}

/** The nodes of all pages, as a store that is opened for this sees them. */
export async function contentsOf(file: StateFile, access: 'read' | 'write'): Promise<Contents> {
  const store = await PageStore.open(file, { access });
  const contents = await contentsIn(store);
  await store.close();
  return contents;
}

/** The nodes of all pages of an open store. */
export async function contentsIn(store: PageStore): Promise<Contents> {
  const contents: Contents = new Map();
  for await (const { block, page } of store.pages()) {
    contents.set(
      block,
      Array.from({ length: page.directory.count }, (_, slot) => textOf(nodeOf(page, slot))),
    );
  }
  return contents;
}

/**
 * What a program sees that knows nothing of commit records: it may miss the last commit, but each page that it finds
 * has to be sound and hold nothing but what was appended there. A block that is being overwritten is left out.
 */
function judgeForeignView({ image, journal }: DiskState, oracle: Oracle): string | undefined {
  const header = new Uint8Array(64);
  image.read(header, 0);
  const blockCount = new DataView(header.buffer).getUint32(24, true);
  const bytes = new Uint8Array(BLOCK_BYTES);
  const overwritten = journal && decodeJournal(journal)?.block;
  for (let block = 1; block < blockCount; block++) {
    image.read(bytes, fileOffset(block));
    const facts = examinePage(bytes, block);
    if (facts === undefined || block === overwritten) continue;
    if (facts.error) return `without commit records: ${facts.error.message}`;
    const acknowledged = oracle.contents.get(block) ?? [];
    for (const [slot, node] of specBlockNodes(Buffer.from(bytes.buffer), block).entries()) {
      const expected = acknowledged[slot];
      if (expected === undefined) break;
      if (textOf(node.bytes) !== expected && !oracle.isUpdated(block, slot, textOf(node.bytes))) {
        return `without commit records: node ${block}:${slot} is not what was appended`;
      }
    }
  }
  return undefined;
}

function isEqual(a: Contents, b: Contents): boolean {
  if (a.size !== b.size) return false;
  for (const [block, nodes] of a) {
    const others = b.get(block);
    if (others?.length !== nodes.length || nodes.some((node, slot) => node !== others[slot])) return false;
  }
  return true;
}
