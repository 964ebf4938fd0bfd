import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';

/** Takes comments and blank lines out, and says what is left. */
export default async function build(file) {
  const source = await readFile(file, 'utf8');
  const lines = source.split('\n').filter((line) => line.trim() !== '' && !line.trim().startsWith('//'));
  const output = gzipSync(lines.join('\n'), { level: 9 });
  const hash = createHash('sha256').update(output).digest('hex').slice(0, 12);
  return { file, before: source.length, after: output.length, hash };
}
