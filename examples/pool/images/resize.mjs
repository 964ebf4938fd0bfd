// Resizes images in threads with pngjs, a PNG library in plain JavaScript. Pixels are moved, not copied.
//
//   node resize.mjs [how many]

import { fileURLToPath } from 'node:url';

import Pool from 'rcluster/pool';
import { PNG } from 'pngjs';

const count = Number(process.argv[2] ?? 12);

/** A picture to work on: a gradient. */
function picture(side, shift) {
  const png = new PNG({ width: side, height: side });
  for (let y = 0, at = 0; y < side; y++) {
    for (let x = 0; x < side; x++, at += 4) png.data.set([x + shift, y, x ^ y, 255], at);
  }
  return new Uint8Array(PNG.sync.write(png));
}

const pool = new Pool({ filename: fileURLToPath(new URL('worker.cjs', import.meta.url)) });
const startedAt = performance.now();
const thumbnails = await Promise.all(
  Array.from({ length: count }, async (_, i) => {
    const source = picture(512, i);
    const before = source.length;
    const { bytes, width, height } = await pool.run(
      { source, width: 128 },
      { transferList: [source.buffer] },
    );
    return `${i}: ${before} bytes → ${width}x${height}, ${bytes.length} bytes`;
  }),
);
console.log(thumbnails.join('\n'));
console.log(`${count} images in ${(performance.now() - startedAt).toFixed(0)} ms`);
await pool.close();
