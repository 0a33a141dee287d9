import { type FileHeader, ROOT_DESCRIPTOR, type RootDescriptor } from './file-header.ts';
import { headerPlace, hex, type Problem } from './invariants.ts';
import { ROOT_DESCRIPTOR_OFFSET } from './layout.ts';
import { decodePointer, NODE_TYPES } from './pointer.ts';

/** What is wrong with root pointer and root descriptor. @param block0 - the block that begins with `header` */
export function* rootProblems(
  header: Pick<FileHeader, 'rootPointer'>,
  block0: Uint8Array,
  blocks: number,
): Generator<Problem> {
  if (header.rootPointer === 0n) return;
  const at = {
    severity: 'error',
    ...headerPlace('rootPointer'),
    found: hex(header.rootPointer, 16),
  } as const;
  const { inMemory, block, slot } = decodePointer(header.rootPointer);
  if (inMemory || block >= blocks) {
    const why = inMemory ? 'has bit 63 set, a state in memory' : `points to block ${block}, the file has ${blocks}`;
    yield { code: 'ROOT_POINTER', ...at, expected: `a block id below ${blocks}`, message: `the root pointer ${why}` };
  } else if (block === 0 && slot !== ROOT_DESCRIPTOR_OFFSET) {
    const message = `the root pointer points to byte ${slot} of block 0, where no root descriptor is`;
    yield { code: 'ROOT_POINTER', ...at, expected: `byte ${ROOT_DESCRIPTOR_OFFSET} of block 0`, message };
  } else if (block === 0) {
    yield* rootDescriptorProblems(ROOT_DESCRIPTOR.read(block0, ROOT_DESCRIPTOR_OFFSET), blocks);
  }
}

function* rootDescriptorProblems(root: RootDescriptor, blocks: number): Generator<Problem> {
  if (root.rootType > 2) yield descriptorProblem('rootType', String(root.rootType), '0, 1 or 2');
  if (root.isFinal > 1) yield descriptorProblem('isFinal', String(root.isFinal), '0 or 1');
  if (root.arenaCount >= blocks)
    yield descriptorProblem('arenaCount', String(root.arenaCount), `at most ${blocks - 1}`);
  const target = decodePointer(root.rootRecord);
  const found = hex(root.rootRecord, 16);
  if (root.rootType === 0) {
    if (root.rootRecord !== 0n) yield descriptorProblem('rootRecord', found, '0, for an empty trie');
  } else if (target.inMemory || target.block === 0 || target.block >= blocks) {
    yield descriptorProblem('rootRecord', found, `a pointer to a block of 1 to ${blocks - 1}`);
  } else if (!NODE_TYPES.includes(target.nodeType)) {
    yield descriptorProblem('rootRecord', found, `a pointer with node type ${NODE_TYPES.join(', ')}`);
  }
}

/** Where a field of the root descriptor is. */
export function descriptorPlace(field: keyof RootDescriptor): Pick<Problem, 'block' | 'offset' | 'bytes'> {
  const offset = ROOT_DESCRIPTOR_OFFSET + ROOT_DESCRIPTOR.offsetOf(field);
  return { block: 0, offset, bytes: ROOT_DESCRIPTOR.bytesOf(field) };
}

function descriptorProblem(field: keyof RootDescriptor, found: string, expected: string): Problem {
  return {
    code: 'ROOT_DESCRIPTOR',
    severity: 'error',
    ...descriptorPlace(field),
    found,
    expected,
    message: `root descriptor: ${field} is ${found}, expected ${expected}`,
  };
}
