import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type * as Library from '../../../src/index.ts';
import type { AppendRunning, AppendWay, Peer, ReadRunning, ReadWay, Sources } from '../peer.ts';
import type { Taker } from '../taker.ts';
import { nodeViews, type Workload } from '../workload.ts';
import { scanWays } from './artrie-pages-scan.ts';

const FILE = 'pages.part';
const REFS = 'refs';

/** As much as the caches of the others have. */
const CACHE_BYTES = 128 * 2 ** 20;

/** The library as users get it: what was built. */
export const artriePages = (pageFormat: Library.PageFormat): Peer => ({
  id: `artrie-pages-${pageFormat}`,
  engine: 'artrie-pages',
  data: FILE,
  appends: APPENDS.map(({ name, append }): AppendWay => ({
    name: `artrie-pages ${pageFormat}, ${name}`,
    async open(sources, folder, workload) {
      const { PageStore } = await library(sources);
      const store = await PageStore.create(join(folder, FILE), { pageFormat });
      return running(store, folder, append(store, workload));
    },
  })),
  reads: READS.map(({ name, kind, read }): ReadWay => ({
    name: `artrie-pages ${pageFormat}, ${name}`,
    kind,
    async prepare(sources, folder) {
      const { PageStore } = await library(sources);
      const file = readFileSync(join(folder, REFS));
      const refs = new Uint32Array(Uint8Array.from(file).buffer);
      return {
        async open(): Promise<ReadRunning> {
          const store = await PageStore.open(join(folder, FILE), { access: 'read', cacheBytes: CACHE_BYTES });
          return { read: async (order, taker) => read(store, refs, order, taker), close: async () => store.close() };
        },
      };
    },
  })),
  scans: scanWays(pageFormat, FILE, library),
  async check(sources, folder) {
    const { verify } = await library(sources);
    const path = join(folder, FILE);
    return {
      path,
      async check() {
        const { ok } = await verify(path);
        if (!ok) throw new Error(`verify found damage in ${path}`);
      },
    };
  },
});

async function library({ library }: Sources): Promise<typeof Library> {
  return (await import(library)) as typeof Library;
}

type Append = () => Promise<Library.RefRun[]>;

const APPENDS: readonly {
  readonly name: string;
  readonly append: (store: Library.PageStore, workload: Workload) => Append;
}[] = [
  {
    name: 'appendMany(bytes, lengths)',
    append:
      (store, { bytes, lengths }) =>
      async () =>
        store.appendMany(bytes, lengths),
  },
  {
    name: 'appendMany(nodes)',
    append: (store, workload) => {
      const nodes = nodeViews(workload);
      return async () => store.appendMany(nodes);
    },
  },
  { name: 'stream of stage, commit', append: (store, workload) => async () => stageEach(store, workload) },
  { name: 'stream of stageMany, commit', append: (store, workload) => async () => stageMany(store, workload) },
];

async function stageEach(store: Library.PageStore, { bytes, starts, count }: Workload): Promise<Library.RefRun[]> {
  const runs: Library.RefRun[] = [];
  let start = 0;
  for (let node = 0; node < count; node++) {
    const end = starts[node + 1]!;
    while (!store.stage(bytes, start, end)) runs.push(...(await store.makeRoom(end - start)));
    start = end;
  }
  runs.push(...(await store.commit()));
  return runs;
}

async function stageMany(
  store: Library.PageStore,
  { bytes, lengths, starts, count }: Workload,
): Promise<Library.RefRun[]> {
  const runs: Library.RefRun[] = [];
  for (let node = 0; node < count;) {
    node += store.stageMany(bytes, starts[node]!, lengths, node, count);
    if (node < count) runs.push(...(await store.makeRoom(lengths[node]!)));
  }
  runs.push(...(await store.commit()));
  return runs;
}

function running(store: Library.PageStore, folder: string, append: Append): AppendRunning {
  let runs: Library.RefRun[] = [];
  return {
    async append() {
      runs = await append();
    },
    async close() {
      await store.close();
      const refs = new Uint32Array(2 * runs.reduce((sum, { count }) => sum + count, 0));
      let at = 0;
      for (const { block, slot, count } of runs) {
        for (let index = 0; index < count; index++) {
          refs[at++] = block;
          refs[at++] = slot + index;
        }
      }
      writeFileSync(join(folder, REFS), refs);
    },
  };
}

const READS: readonly {
  readonly name: string;
  readonly kind: ReadWay['kind'];
  readonly read: (store: Library.PageStore, refs: Uint32Array, order: Uint32Array, taker: Taker) => Promise<void>;
}[] = [
  {
    name: 'tryRead, else read',
    kind: 'copy',
    async read(store, refs, order, taker) {
      for (const number of order) {
        const ref = { block: refs[2 * number]!, slot: refs[2 * number + 1]! };
        const node = store.tryRead(ref) ?? (await store.read(ref));
        taker.take(node, 0, node.length);
      }
    },
  },
  {
    name: 'tryView, else view',
    kind: 'view',
    async read(store, refs, order, taker) {
      for (const number of order) {
        const ref = { block: refs[2 * number]!, slot: refs[2 * number + 1]! };
        const node = store.tryView(ref) ?? (await store.view(ref));
        taker.take(node, 0, node.length);
      }
    },
  },
];
