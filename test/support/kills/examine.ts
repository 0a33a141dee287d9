import { openBlockFile } from '../../../src/disk/node-block-file.ts';
import { nodeOf } from '../../../src/format/page.ts';
import { PAGE_FLAG } from '../../../src/format/page-header.ts';
import { PageStore } from '../../../src/store/page-store.ts';
import { verify } from '../../../src/verify/verify.ts';
import { blockOf, keyOf, type Ledger, refOf } from './ledger.ts';
import { type Payload, payloadOf } from './payload.ts';

/** What verify may say of a file that a killed writer has left: bytes that no commit covers, and an update that was cut off. */
const LEFT_BEHIND: ReadonlySet<string> = new Set(['BLOCKS_UNCOUNTED', 'FILE_SIZE', 'JOURNAL_PENDING']);

/** What was seen in a file. */
export interface Seen {
  /** Nodes that were acknowledged, and are as they should be. */
  readonly refs: number;
  /** Nodes of the stream that nobody acknowledged, by place. */
  readonly extra: ReadonlyMap<number, Payload>;
  /** What is wrong. */
  readonly faults: readonly string[];
}

/** Holds a file to what was acknowledged, reading every node of it as a reader does. @param stream - the stream that may have gone on */
export async function examine(path: string, ledger: Ledger, stream: number): Promise<Seen> {
  const faults: string[] = [];
  const extra = new Map<number, Payload>();
  const found = new Map<number, number>();
  let refs = 0;
  const store = await PageStore.open(path, { access: 'read' });
  try {
    for await (const { block, page } of store.pages()) {
      for (let slot = 0; slot < page.directory.count; slot++) {
        const key = keyOf(block, slot);
        const payload = payloadOf(nodeOf(page, slot));
        const entry = ledger.at(key);
        if (payload === undefined) faults.push(`${refOf(key)} has bytes that no node was sent with`);
        else if (entry === undefined) extra.set(key, payload);
        else if (!isEntry(payload, entry)) faults.push(`${refOf(key)} is ${say(payload)}, not ${say(entry)}`);
        else refs++;
      }
      found.set(block, page.directory.count);
      if (ledger.sealed.has(block) && (page.header.flags & PAGE_FLAG.finalized) === 0 && !ledger.doomed.has(block)) {
        faults.push(`block ${block} was sealed, and is not`);
      }
    }
  } finally {
    await store.close();
  }
  for (const block of ledger.blocks) {
    const count = found.get(block) ?? 0;
    if (ledger.doomed.has(block) && !found.has(block)) continue;
    const lost = [...ledger.nodesIn(block).keys()].filter((key) => key % 65_536 >= count);
    if (lost.length > 0) faults.push(`${lost.length} acknowledged nodes are lost, the first ${refOf(lost[0] ?? 0)}`);
  }
  for (const block of ledger.pages) {
    if (!found.has(block) && !ledger.doomed.has(block)) faults.push(`block ${block} was allocated, and is no page`);
  }
  faults.push(...gaps(extra, ledger, stream));
  settleFrees(ledger, found);
  return { refs, extra, faults };
}

function isEntry(payload: Payload, entry: Payload & { readonly intended: number }): boolean {
  const isVersion = payload.version === entry.version || payload.version === entry.intended;
  return payload.stream === entry.stream && payload.index === entry.index && isVersion;
}

const say = ({ stream, index, version }: Payload): string => `node ${index} of stream ${stream} in version ${version}`;

/** What was not acknowledged has to go on where the acknowledgements end, without a gap. */
function gaps(extra: ReadonlyMap<number, Payload>, ledger: Ledger, stream: number): string[] {
  const first = ledger.acknowledged.get(stream) ?? 0;
  const indexes = [...extra.values()].filter((payload) => payload.stream === stream && payload.version === 0);
  if (indexes.length < extra.size) {
    const strange = [...extra].find(([, payload]) => payload.stream !== stream || payload.version !== 0);
    return [`${strange && `${refOf(strange[0])} holds ${say(strange[1])}`}, which is not what was being written`];
  }
  const sorted = indexes.map(({ index }) => index).toSorted((a, b) => a - b);
  const wrong = sorted.findIndex((index, at) => index !== first + at);
  return wrong < 0 ? [] : [`node ${sorted[wrong]} of stream ${stream} is there and node ${first + wrong} is not`];
}

/** A block whose freeing was cut off is free now, or it is not: from here on that stands. */
function settleFrees(ledger: Ledger, found: ReadonlyMap<number, number>): void {
  for (const block of ledger.doomed) if (found.has(block)) ledger.spared(block);
  for (const block of ledger.doomed) ledger.freed(block);
}

/** Takes into the ledger what is there without an acknowledgement, and which side cut-off updates came down on. */
export async function adopt(path: string, ledger: Ledger, { extra }: Seen): Promise<void> {
  for (const [key, payload] of [...extra].toSorted(([, a], [, b]) => a.index - b.index)) ledger.append(key, payload);
  const store = await PageStore.open(path, { access: 'read' });
  try {
    for (const block of ledger.blocks) {
      for (const [key, entry] of ledger.nodesIn(block)) {
        if (entry.version === entry.intended) continue;
        const payload = payloadOf(await store.read({ block: blockOf(key), slot: key % 65_536 }));
        entry.version = entry.intended = payload?.version ?? entry.version;
      }
    }
  } finally {
    await store.close();
  }
}

/** What verify finds that it should not. @param recovered - whether a writer has opened the file since it was left behind */
export async function verifyFaults(path: string, recovered: boolean): Promise<string[]> {
  const faults: string[] = [];
  const file = await openBlockFile(path, 'read');
  try {
    await verify(file, {
      onFinding: ({ severity, code, message }) => {
        const isLeft = !recovered && severity === 'info' && LEFT_BEHIND.has(code);
        if (!isLeft) faults.push(`verify, ${recovered ? 'after' : 'before'} recovery: ${severity} ${code}: ${message}`);
      },
    });
  } finally {
    await file.close();
  }
  return faults;
}
