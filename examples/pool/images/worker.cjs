const { PNG } = require('pngjs');
const { move, transferableSymbol, valueSymbol } = require('rcluster/pool');

/** Reads a PNG, averages its pixels down to a width, writes a PNG. */
module.exports = ({ source, width }) => {
  const from = PNG.sync.read(Buffer.from(source));
  const scale = from.width / width;
  const to = new PNG({ width, height: Math.round(from.height / scale) });
  for (let y = 0, at = 0; y < to.height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < 4; channel++) to.data[at++] = average(from, x, y, scale, channel);
    }
  }
  const bytes = new Uint8Array(PNG.sync.write(to));
  return move({
    [transferableSymbol]: bytes.buffer,
    [valueSymbol]: { bytes, width: to.width, height: to.height },
  });
};

function average(image, x, y, scale, channel) {
  let sum = 0;
  let count = 0;
  for (let v = Math.floor(y * scale); v < (y + 1) * scale; v++) {
    for (let u = Math.floor(x * scale); u < (x + 1) * scale; u++, count++) {
      sum += image.data[(v * image.width + u) * 4 + channel];
    }
  }
  return sum / count;
}
