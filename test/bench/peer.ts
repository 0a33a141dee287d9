import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Taker } from './taker.ts';
import type { Workload } from './workload.ts';

export type PeerEngine = 'bare' | 'artrie-pages' | 'lmdb' | 'sqlite' | 'level';

/** Where a peer finds what it is made of: the built library, or a package that is installed in test/bench. */
export interface Sources {
  /** URL of dist/index.js. */
  readonly library: string;
  /** The folder that has the node_modules of the peers. */
  readonly packages: string;
}

/** One store of nodes, and all ways of using it that are measured. Each way runs in a process of its own. */
export interface Peer {
  readonly id: string;
  readonly engine: PeerEngine;
  /** What has to be installed for it. */
  readonly package?: string;
  /** The file or folder that it makes in the folder that it is given. */
  readonly data: string;
  readonly appends: readonly AppendWay[];
  readonly reads: readonly ReadWay[];
  readonly scans: readonly ScanWay[];
  /** Looks at all bytes of the file, as the peer itself offers it. */
  readonly check?: (sources: Sources, folder: string) => Promise<CheckRunning>;
}

export interface AppendWay {
  readonly name: string;
  /** Makes an empty file in an empty folder, and all that has to be there before the clock starts. */
  open(sources: Sources, folder: string, workload: Workload): Promise<AppendRunning>;
}

export interface AppendRunning {
  /** Appends all nodes; they are durable when it is done. */
  append(): Promise<void> | void;
  /** Leaves the file as it is meant to be found. */
  close(): Promise<void> | void;
}

/** What two ways of reading have in common that are compared: whether the bytes are the caller's own to keep. */
export type ReadKind = 'copy' | 'view';

export interface ReadWay {
  readonly name: string;
  readonly kind: ReadKind;
  /** What the file itself does not know, such as the refs of all nodes. The clock does not run. */
  prepare(sources: Sources, folder: string, workload: Workload): Promise<ReadPrepared>;
}

export interface ReadPrepared {
  open(): Promise<ReadRunning> | ReadRunning;
}

export interface ReadRunning {
  /** Reads the nodes with these numbers. */
  read(order: Uint32Array, taker: Taker): Promise<void> | void;
  close(): Promise<void> | void;
}

export interface ScanWay {
  readonly name: string;
  /** `cursor` makes no object for a node. */
  readonly kind: 'objects' | 'cursor';
  open(sources: Sources, folder: string): Promise<ScanRunning>;
}

export interface ScanRunning {
  /** Reads all nodes in their order. */
  scan(taker: Taker): Promise<void> | void;
  close(): Promise<void> | void;
}

export interface CheckRunning {
  /** The file that is checked; its size is what the time is divided by. */
  readonly path: string;
  check(): Promise<void> | void;
}

/** Loads a package of test/bench, wherever the code that asks for it was bundled to. */
export async function importPackage(sources: Sources, name: string): Promise<unknown> {
  return import(pathToFileURL(packagePath(sources, name)).href);
}

export function isInstalled(sources: Sources, name: string): boolean {
  try {
    packagePath(sources, name);
    return true;
  } catch {
    return false;
  }
}

const packagePath = ({ packages }: Sources, name: string): string =>
  createRequire(join(packages, 'package.json')).resolve(name);
