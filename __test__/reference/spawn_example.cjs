'use strict';

// A program is started and its output read as it comes. Only the `require` is not fixed.
const { spawn } = require(process.env.CHILD_PROCESS);

const ls = spawn('ls', ['-1', __filename, '/no/such/file']);

ls.stdout.on('data', (data) => console.log(`out: ${data}`));
ls.stderr.on('data', (data) => console.log(`err: ${data}`));
ls.on('close', (code) => console.log(`closed with ${code}`));
