import { join } from 'node:path';
import type * as Library from '../../../src/index.ts';
import { type Contender, inGroups } from '../contender.ts';

type Append = (store: Library.PageStore, nodes: readonly Uint8Array[]) => Promise<unknown>;

/** `await store.append(node)`: with a group, so many calls at once, and Promise.all. */
export const appendCalls = (pageFormat: Library.PageFormat, group: number): Contender =>
  contender(
    `artrie-pages ${pageFormat}, ${group === 1 ? 'append' : `${group} concurrent append`}`,
    pageFormat,
    group,
    async (store, nodes) => Promise.all(nodes.map(async (node) => store.append(node))),
  );

export const appendMany = (pageFormat: Library.PageFormat, group: number): Contender =>
  contender(`artrie-pages ${pageFormat}, appendMany of ${group}`, pageFormat, group, async (store, nodes) =>
    store.appendMany(nodes),
  );

function contender(name: string, pageFormat: Library.PageFormat, group: number, append: Append): Contender {
  return {
    name,
    engine: 'artrie-pages',
    group,
    async open(sources, folder) {
      // What users get: the built library.
      const { PageStore, nodeOf } = (await import(sources.library)) as typeof Library;
      const path = join(folder, 'pages.part');
      const store = await PageStore.create(path, { pageFormat });
      return {
        append: async (nodes) =>
          // One at a time is measured as it is used, with no array and no Promise.all around the call.
          group === 1 ? oneByOne(store, nodes) : inGroups(nodes, group, async (some) => append(store, some)),
        async readBack() {
          await store.close();
          const reader = await PageStore.open(path, { access: 'read' });
          const nodes: Uint8Array[] = [];
          for await (const { page } of reader.pages()) {
            for (let slot = 0; slot < page.directory.count; slot++) nodes.push(nodeOf(page, slot).slice());
          }
          await reader.close();
          return nodes;
        },
      };
    },
  };
}

async function oneByOne(store: Library.PageStore, nodes: readonly Uint8Array[]): Promise<void> {
  for (const node of nodes) await store.append(node);
}
