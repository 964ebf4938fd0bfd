'use strict';

const { defineConfig } = require('rcluster/supervisor');

// What the command line says goes before. `rcluster --check` only checks it.
module.exports = defineConfig({
  exec: 'app.js',
  workers: 'max',
  env: { NODE_ENV: 'production' },
  http: '127.0.0.1:9464',
  logFormat: 'json',

  waitReady: 'listening',
  stopTimeout: 30_000,
  hangTimeout: 10_000,
  maxOldSpaceMb: 512,
  recycle: { age: 24 * 3600 * 1000, rss: '900mb' },
});
