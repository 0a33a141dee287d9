import { join } from 'node:path';
import type * as Library from '../../../src/index.ts';
import type { ScanWay, Sources } from '../peer.ts';
import type { Taker } from '../taker.ts';

type LoadLibrary = (sources: Sources) => Promise<typeof Library>;
type Scan = (library: typeof Library, store: Library.PageStore, taker: Taker) => Promise<void>;

export const scanWays = (pageFormat: Library.PageFormat, file: string, load: LoadLibrary): ScanWay[] =>
  SCANS.map(({ name, kind, scan }) => ({
    name: `artrie-pages ${pageFormat}, ${name}`,
    kind,
    async open(sources, folder) {
      const library = await load(sources);
      const store = await library.PageStore.open(join(folder, file), { access: 'read' });
      return { scan: async (taker) => scan(library, store, taker), close: async () => store.close() };
    },
  }));

const SCANS: readonly { readonly name: string; readonly kind: ScanWay['kind']; readonly scan: Scan }[] = [
  {
    name: 'cursor',
    kind: 'cursor',
    async scan(_, store, taker) {
      const cursor = store.cursor();
      while (await cursor.nextPage()) while (cursor.next()) taker.take(cursor.bytes, cursor.start, cursor.end);
    },
  },
  {
    name: 'pages and nodesOf',
    kind: 'objects',
    async scan({ nodesOf }, store, taker) {
      for await (const { page } of store.pages()) {
        for (const node of nodesOf(page)) taker.take(node, 0, node.length);
      }
    },
  },
];
