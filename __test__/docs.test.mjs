// Every code block of README and docs is what it says. The word behind a block's language tells how it is checked:
//
//   run             runs to its end; what a `text output` block behind it says is what it prints
//   run file=NAME   is written to NAME, for blocks of the page that say needs=NAME
//   serve           a server: answers on the port it names (8000, replaced by a free one), then is ended
//   from=PATH       is a piece of that file, but for how far it is indented
//   (nothing)       JavaScript is parsed; in shell blocks, npm scripts and options of rcluster that are named must be there

import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  existsSync,
} from 'node:fs';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, describe, expect, test } from 'vitest';

import { runScript, startScript } from './helpers/run_script.mjs';
import { waitFor } from './helpers/wait.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'rcluster-docs-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
mkdirSync(join(scratch, 'node_modules'));
symlinkSync(root, join(scratch, 'node_modules', 'rcluster'));

const pages = [
  'README.md',
  'benchmark/README.md',
  'CONTRIBUTING.md',
  'ARCHITECTURE.md',
  'GOTCHAS.md',
  'CHANGELOG.md',
  'examples/README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true })
    .filter((file) => file.endsWith('.md'))
    .map((file) => join('docs', file)),
];
/** What only we throw. */
const CODE = /\bERR_RCLUSTER_[A-Z_]+/g;
const helps = new Map();
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** The code blocks of a page, with what follows each as its expected output. */
function blocksOf(page) {
  const text = readFileSync(join(root, page), 'utf8');
  const blocks = [...text.matchAll(/^```(\S+)(.*)\n([\s\S]*?)^```$/gm)].map(([, language, words, code]) => ({
    language,
    words: words.trim().split(/\s+/).filter(Boolean),
    code,
  }));
  blocks.forEach((block, at) => {
    const next = blocks[at + 1];
    if (next?.language === 'text' && next.words.includes('output')) block.output = next.code;
  });
  return blocks;
}

const valueOf = (words, name) => words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);

describe.each(pages)('%s', (page) => {
  const blocks = blocksOf(page);
  const files = Object.fromEntries(
    blocks.flatMap(({ words, code }) => {
      const name = valueOf(words, 'file');
      return name ? [[name, code]] : [];
    }),
  );
  const runnable = blocks.filter(({ words }) => words.includes('run') && !valueOf(words, 'file'));
  const servers = blocks.filter(({ words }) => words.includes('serve'));
  const parsed = blocks.filter(
    ({ language, words }) =>
      /^(js|mjs|cjs)$/.test(language) && !words.includes('run') && !words.includes('serve'),
  );
  const commands = blocks.filter(({ language, words }) => language === 'sh' && !words.includes('run'));
  const pieces = blocks.filter(({ words }) => valueOf(words, 'from'));

  if (runnable.length > 0) {
    test.each(runnable.map((block) => [firstLine(block), block]))('runs: %s', async (_, block) => {
      const { code, output, language, words } = block;
      const file = place(code, language, files, valueOf(words, 'needs'));
      const { stdout, stderr, code: status } = await runScript(file, { cwd: dirname(file) });
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      if (output !== undefined) expect(stdout).toBe(output);
    });
  }

  if (servers.length > 0) {
    test.each(servers.map((block) => [firstLine(block), block]))(
      'serves: %s',
      async (_, { code, language }) => {
        const port = await freePort();
        expect(code).toContain('8000');
        const file = place(code.replaceAll('8000', String(port)), language, {});
        const { child, finished, ...script } = startScript(file, { cwd: dirname(file) });
        await waitFor(async () => (await statusOf(port)) === 200, {
          what: () => `an answer: ${script.stderr}`,
        });
        child.kill();
        await finished;
      },
    );
  }

  if (parsed.length > 0) {
    test.each(parsed.map((block) => [firstLine(block), block]))(
      'parses: %s',
      async (_, { code, language }) => {
        // A block may `await` as in a module, and `require` as in a script.
        const isModule = language === 'mjs' || /^\s*import .* from /m.test(code);
        const text = isModule || !/\bawait\b/.test(code) ? code : `async () => {\n${code}\n}`;
        const file = join(scratch, isModule ? 'parsed.mjs' : 'parsed.cjs');
        writeFileSync(file, text);
        const { stderr } = await runScript(file, { execArgv: ['--check'] });
        expect(stderr).toBe('');
      },
    );
  }

  if (commands.length > 0) {
    test('names npm scripts and files that are there', () => {
      for (const { code } of commands) {
        for (const [, name] of code.matchAll(/\bnpm run (?:--\S+ )*([\w:.-]+)/g)) {
          if (!/^(serve|dev|build:app)$/.test(name)) expect(Object.keys(scripts)).toContain(name);
        }
        if (/\bnpm start\b/.test(code)) expect(scripts.start).toBeDefined();
        if (/\bnpm test\b/.test(code)) expect(scripts.test).toBeDefined();
      }
    });

    test('names commands and options that rcluster has', () => {
      for (const { code } of commands) {
        for (const [, line] of code.matchAll(/^rcluster (.*)$/gm)) {
          // What is behind a number sign is a remark, what is behind -- is for the app.
          const words = line.split(/\s#|\s--\s/)[0].split(/\s+/);
          const isCommand = /^[a-z]+$/.test(words[0]);
          if (isCommand) expect(help()).toMatch(new RegExp(`^  ${words[0]}\\b`, 'm'));
          const known = (help() + (isCommand ? help(words[0]) : '')).split(/[\s,]+/);
          for (const word of words.filter((text) => text.startsWith('-'))) {
            expect(known).toContain(word.split('=')[0]);
          }
        }
      }
    });
  }

  if (pieces.length > 0) {
    test.each(pieces.map((block) => [valueOf(block.words, 'from'), block]))(
      'is from %s',
      (file, { code }) => {
        const flat = (text) => text.replace(/^ +/gm, '');
        expect(flat(readFileSync(join(root, file), 'utf8'))).toContain(flat(code));
      },
    );
  }

  test('links lead somewhere', () => {
    const text = readFileSync(join(root, page), 'utf8').replace(/^```[\s\S]*?^```$/gm, '');
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [path, anchor] = target.split('#');
      const file = path === '' ? join(root, page) : join(root, dirname(page), path);
      expect({ target, isThere: existsSync(file) }).toEqual({ target, isThere: true });
      if (anchor && file.endsWith('.md')) expect(anchorsOf(file)).toContain(anchor);
    }
  });
});

test('each error code of ours is explained', () => {
  const sources = readdirSync(join(root, 'lib'), { recursive: true }).filter((file) => file.endsWith('.js'));
  const used = sources.flatMap((file) => readFileSync(join(root, 'lib', file), 'utf8').match(CODE) ?? []);
  const rows = readFileSync(join(root, 'docs/troubleshooting.md'), 'utf8').match(/^\| `ERR_\w+`/gm) ?? [];
  const explained = rows.flatMap((row) => row.match(CODE));
  expect(explained.toSorted()).toEqual([...new Set(used)].toSorted());
});

/** Writes a block and the files it needs into a folder of its own, in which `rcluster` can be required. */
function place(code, language, files, needed) {
  const directory = mkdtempSync(join(scratch, 'block-'));
  const name = language === 'mjs' || /^import .* from /m.test(code) ? 'main.mjs' : 'main.cjs';
  writeFileSync(join(directory, name), code);
  if (needed) writeFileSync(join(directory, needed), files[needed]);
  return join(directory, name);
}

/** What `rcluster` says about itself, or about one of its commands. */
function help(command) {
  const bin = join(root, 'bin', 'rcluster.js');
  const args = command === undefined ? [bin, '--help'] : [bin, command, '--help'];
  if (!helps.has(command)) helps.set(command, execFileSync(process.execPath, args, { encoding: 'utf8' }));
  return helps.get(command);
}

function firstLine({ code }) {
  return code.split('\n').find((line) => line.trim() !== '');
}

/** GitHub's names of a page's headings. */
function anchorsOf(file) {
  return [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-'),
  );
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** What a server answers with, or nothing. */
function statusOf(port) {
  return new Promise((resolve) => {
    http
      .get({ port, host: '127.0.0.1', agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
      .on('error', () => resolve(undefined));
  });
}
