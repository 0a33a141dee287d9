import { join } from 'node:path';
import type * as Library from '../../../src/index.ts';
import { bytesOf, type Course } from '../course.ts';
import { makeWorkload } from '../workload.ts';

export const FILLED_FILE = 'pages.part';

const FILLED = new WeakMap<Course, string>();

/** A folder with a file of so many MiB at least: the nodes, over and over. It is made when first asked for. */
export async function filledFolder(course: Course): Promise<string> {
  const filled = FILLED.get(course);
  if (filled !== undefined) return filled;
  const { sources, nodes, verifyMiB } = course.settings;
  const { PageStore } = (await import(sources.library)) as typeof Library;
  const folder = course.folder();
  const path = join(folder, FILLED_FILE);
  const store = await PageStore.create(path);
  const { bytes, lengths } = makeWorkload(nodes);
  while (bytesOf(path) < verifyMiB * 2 ** 20) await store.appendMany(bytes, lengths);
  await store.close();
  FILLED.set(course, folder);
  return folder;
}
