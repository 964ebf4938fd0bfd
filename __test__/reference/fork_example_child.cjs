'use strict';

process.on('message', (message) => {
  console.log('child got', JSON.stringify(message));
  process.send({ received: true });
});
