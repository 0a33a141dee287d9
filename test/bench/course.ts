import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isInstalled, type Peer, type Sources } from './peer.ts';
import { PEERS } from './peers/all.ts';
import type { Entrant } from './race.ts';
import { type Sample, type TaskName, type TaskSettings } from './tasks.ts';
import { TaskProcess } from './task-process.ts';

export interface Settings {
  /** Empty, and removed afterwards. */
  readonly folder: string;
  readonly sources: Sources;
  /** What the processes of the tasks run. */
  readonly child: string;
  /** The executable of artrie-pages. */
  readonly tool: string;
  readonly nodes: number;
  readonly rounds: number;
  readonly warmUp: number;
  readonly verifyMiB: number;
  /** Only entrants whose name matches. */
  readonly match: RegExp;
  /** Whether peers take part, where they are installed. */
  readonly withPeers: boolean;
}

/** What all measures of one run share: who takes part, the files that are read, and the way into a process. */
export class Course {
  readonly settings: Settings;
  readonly peers: readonly Peer[];
  readonly missing: readonly string[];
  readonly #files = new Map<Peer, string>();
  #folders = 0;

  constructor(settings: Settings) {
    this.settings = settings;
    const wanted = PEERS.filter((peer) => settings.withPeers || peer.package === undefined);
    this.peers = wanted.filter((peer) => peer.package === undefined || isInstalled(settings.sources, peer.package));
    this.missing = PEERS.filter((peer) => !this.peers.includes(peer)).map(({ id }) => id);
  }

  get reads(): number {
    return Math.max(1, this.settings.nodes >> 2);
  }

  matches(name: string): boolean {
    return this.settings.match.test(name);
  }

  /** A new folder. */
  folder(): string {
    const path = join(this.settings.folder, String(this.#folders++));
    mkdirSync(path);
    return path;
  }

  /** The folder with a file of a peer that holds all nodes, each of which has been compared. It is made when first asked for. */
  async filesOf(peer: Peer): Promise<string> {
    const made = this.#files.get(peer);
    if (made !== undefined) return made;
    const folder = this.folder();
    const task = this.process('make', { peer: peer.id, way: 0, folder });
    try {
      await task.round(0);
    } finally {
      task.end();
    }
    this.#files.set(peer, folder);
    return folder;
  }

  process(task: TaskName, own: Pick<TaskSettings, 'peer' | 'way' | 'folder' | 'block'>): TaskProcess {
    const { sources, nodes, child } = this.settings;
    return new TaskProcess(child, { task, sources, nodes, reads: this.reads, ...own });
  }

  /** An entrant whose process lives as long as the race. */
  lasting(
    who: Pick<Entrant, 'name' | 'engine' | 'kind'>,
    start: () => TaskProcess,
    value: (sample: Sample) => number,
  ): Entrant {
    let process: TaskProcess | undefined;
    return {
      ...who,
      async run(round) {
        process ??= start();
        return value(await process.round(round));
      },
      end: () => process?.end(),
    };
  }

  /** An entrant that has a new process in each round. */
  fresh(
    who: Pick<Entrant, 'name' | 'engine' | 'kind'>,
    start: () => TaskProcess,
    value: (sample: Sample) => number,
  ): Entrant {
    return {
      ...who,
      async run(round) {
        const process = start();
        try {
          return value(await process.round(round));
        } finally {
          process.end();
        }
      },
    };
  }
}

export const thousandsPerSecond = ({ units, nanoseconds }: Sample): number => (units * 1e6) / nanoseconds;

export const gigabytesPerSecond = ({ units, nanoseconds }: Sample): number => units / nanoseconds;

/** Of a file, or of all files below a folder. */
export function bytesOf(path: string): number {
  if (!statSync(path).isDirectory()) return statSync(path).size;
  return readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), 0);
}

export function remove(path: string): void {
  rmSync(path, { recursive: true, force: true });
}
