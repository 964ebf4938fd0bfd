'use strict';

// A parent and its fork exchange a message. Only the `require` is not fixed.
const { fork } = require(process.env.CHILD_PROCESS);
const path = require('path');

const child = fork(path.join(__dirname, 'fork_example_child.cjs'));

child.send({ hello: 'world' });

child.on('message', (message) => {
  console.log('parent got', JSON.stringify(message));
  child.disconnect();
});
child.on('exit', (code) => console.log('child exited', code));
