// A config file is typed.
import { register } from 'prom-client';
import { defineConfig, exposeMetrics, type Config } from 'rcluster/supervisor';
import { expectType } from './expect_type.mjs';

expectType<Config>(
  defineConfig({
    exec: 'app.js',
    workers: 'max',
    http: 9464,
    control: false,
    schedulingPolicy: 'least-conn',
    logFormat: 'json',
    env: { NODE_ENV: 'production' },
    recycle: { rss: '512mb' },
  }),
);
exposeMetrics(register);

// @ts-expect-error: no such option
defineConfig({ wrokers: 2 });
// @ts-expect-error: no such policy
defineConfig({ schedulingPolicy: 'random' });
