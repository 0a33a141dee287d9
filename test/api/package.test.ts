import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { beforeAll, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/files.ts';

const ROOT = join(import.meta.dirname, '../..');
const NODE_MODULES = join(ROOT, 'node_modules');
const TSC = join(NODE_MODULES, 'typescript/bin/tsc');
const SUBPATHS = ['index', 'arena', 'format', 'testing'];

/** A project that has the package installed, as it is built from src/. */
const project = temporaryFolder();
const installed = join(project, 'node_modules/artrie-pages');
const dist = join(installed, 'dist');

beforeAll(() => {
  mkdirSync(join(project, 'node_modules/@types'), { recursive: true });
  execFileSync(process.execPath, [TSC, '-p', join(ROOT, 'tsconfig.build.json'), '--outDir', dist], {
    stdio: 'inherit',
  });
  cpSync(join(ROOT, 'package.json'), join(installed, 'package.json'));
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { dependencies: object };
  for (const name of [...Object.keys(dependencies), '@types/node', 'undici-types'])
    symlinkSync(join(NODE_MODULES, name), join(project, 'node_modules', name));
  writeFileSync(join(project, 'package.json'), '{"type":"module"}');
}, 180_000);

/** Runs a script of the project. @returns what it prints */
function run(name: string, code: string): string {
  writeFileSync(join(project, name), code);
  return execFileSync(process.execPath, [name], { cwd: project, encoding: 'utf8' });
}

describe('the built package', { timeout: 180_000 }, () => {
  test('runs when it is imported, threads and all subpaths included', () => {
    const printed = run(
      'esm.js',
      `import { create, open, recover, verify } from 'artrie-pages';
       import { KeyMap } from 'artrie-pages/arena';
       import { decodePage, nodesOf } from 'artrie-pages/format';
       import { MemoryBlockFile } from 'artrie-pages/testing';
       const bytes = new TextEncoder().encode('adaptive');
       const file = await create('words.part');
       const ref = await file.append(bytes);
       await file.allocate(200);
       await file.close();
       const { ok, nodes } = await verify('words.part', { threads: 2 });
       const { slots } = await recover('words.part', 'saved.part');
       const saved = await open('saved.part', { access: 'read' });
       const memory = new MemoryBlockFile();
       const store = await create(memory);
       await store.append(await saved.read(ref));
       const page = decodePage(memory.bytes.subarray(262144));
       const map = new KeyMap().set(bytes, 0, 8, 17);
       const [node] = nodesOf(page);
       console.log(\`\${ref}\`, ok, nodes, slots.sound, new TextDecoder().decode(node), map.get(node));`,
    );
    expect(printed).toBe('1:0 true 1 1 adaptive 17\n');
  });

  test('is loaded by require as well', (context) => {
    const code = `const { create, PageRef } = require('artrie-pages');
      console.log(typeof create, String(new PageRef(3, 17)), typeof require('artrie-pages/arena').KeyMap);`;
    writeFileSync(join(project, 'commonjs.cjs'), code);
    const options = { cwd: project, encoding: 'utf8' } as const;
    const { stdout, stderr } = spawnSync(process.execPath, ['commonjs.cjs'], options);
    const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
    const canRequire = major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19);
    if (!canRequire) context.skip('this Node.js does not load ES modules by require');
    expect({ stdout, error: stderr.replace(/^\(.*\n/gm, '') }).toEqual({
      stdout: 'function 3:17 function\n',
      error: '',
    });
  });

  test.each([
    ['with', { types: ['node'], lib: ['es2023'] }],
    ['without', { types: [] }],
  ])('has complete types for a strict consumer, %s those of Node.js', (_, settings) => {
    const compilerOptions = {
      module: 'nodenext',
      target: 'es2022',
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
      ...settings,
    };
    const code = `
      import { compact, create, diff, exportNodes, importNodes, open, type PageRef, PageStoreError } from 'artrie-pages';
      import { recover, repair, stat, undoRepair, verify, type Finding } from 'artrie-pages';
      import { KeyMap } from 'artrie-pages/arena';
      import { ByteNodeArenaV2, decodePage, PAGE_HEADER } from 'artrie-pages/format';
      import { FaultyBlockFile } from 'artrie-pages/testing';
      export async function use(bytes: Uint8Array, signal: AbortSignal): Promise<number> {
        await using store = await create(new FaultyBlockFile(), { pageFormat: 'v2' });
        const ref: PageRef = await store.append(bytes);
        for await (const { ref, bytes } of store.nodes()) if (ref.slot > bytes.length) throw new PageStoreError('IO', '');
        const findings: Finding[] = [];
        const { ok } = await verify('a', { threads: 2, signal, onFinding: (finding) => void findings.push(finding) });
        await recover('a', 'b', { signal });
        await repair('a', { dryRun: true });
        await undoRepair('a', 'a.undo');
        await compact('a', 'b', { dedupe: true });
        await importNodes(exportNodes('a'), 'b');
        await (await open('a', { access: 'read' })).close();
        const { same } = { same: await diff('a', 'b') };
        const page = decodePage(bytes);
        const arena = new ByteNodeArenaV2();
        const slot: number | undefined = arena.allocate(bytes);
        const again = await store.page(await store.addPage(arena));
        if (again.pageFormat === 'v2' && slot !== undefined) return again.directorySavings.fixedBytes;
        // @ts-expect-error: options are checked
        await verify('a', { treads: 2 });
        return [ok, same, await stat('a'), page?.header.nodeCount, PAGE_HEADER.bytes, new KeyMap<number>().size].length + ref.block;
      }`;
    const folder = join(project, `types-${settings.types.length}-${'lib' in settings ? settings.lib.length : 0}`);
    mkdirSync(folder);
    writeFileSync(join(folder, 'use.ts'), code);
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }));
    const { stdout } = spawnSync(process.execPath, [TSC, '-p', folder], { encoding: 'utf8' });
    expect(stdout).toBe('');
  });

  test('exports every type that its signatures name, from the same subpath', () => {
    const files = SUBPATHS.map((name) => join(dist, `${name}.d.ts`));
    const program = ts.createProgram(files, {
      module: ts.ModuleKind.NodeNext,
      types: ['node'],
      typeRoots: [join(NODE_MODULES, '@types')],
    });
    const checker = program.getTypeChecker();
    const missing = files.flatMap((file, index) => {
      const source = program.getSourceFile(file)!; // it is one of the program's files
      const exported = new Set(checker.getExportsOfModule(checker.getSymbolAtLocation(source)!).map(resolved));
      const used = new Set([...exported].flatMap((symbol) => (symbol.declarations ?? []).flatMap(namesIn)));
      return [...used].filter((symbol) => !exported.has(symbol)).map((symbol) => `${SUBPATHS[index]}: ${symbol.name}`);
    });
    expect(missing).toEqual([]);

    function resolved(symbol: ts.Symbol): ts.Symbol {
      return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    }

    /** What the package itself declares at the top of its modules, and a declaration names. */
    function namesIn(declaration: ts.Node): ts.Symbol[] {
      const found: ts.Symbol[] = [];
      const visit = (node: ts.Node): void => {
        if (ts.isIdentifier(node)) {
          const symbol = checker.getSymbolAtLocation(node);
          const target = symbol && resolved(symbol);
          const isOurs = target?.declarations?.some(
            (each) => each.getSourceFile().fileName.startsWith(dist) && ts.isSourceFile(topOf(each).parent),
          );
          if (target && isOurs && !target.declarations?.includes(declaration as ts.Declaration)) found.push(target);
        }
        ts.forEachChild(node, visit);
      };
      visit(declaration);
      return found;
    }

    function topOf(node: ts.Node): ts.Node {
      return ts.isVariableDeclaration(node) ? node.parent.parent : node;
    }
  });
});
