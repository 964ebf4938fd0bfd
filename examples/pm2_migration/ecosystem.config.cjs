'use strict';

// As PM2 reads it.
module.exports = {
  apps: [
    {
      name: 'api',
      script: './api.cjs',
      exec_mode: 'cluster',
      instances: 2,
      args: '--color never',
      env: { PORT: process.env.PORT ?? '8000', NODE_ENV: 'production' },
      max_memory_restart: '200M',
      wait_ready: true,
      listen_timeout: 5000,
      kill_timeout: 2000,
      max_restarts: 10,
    },
  ],
};
