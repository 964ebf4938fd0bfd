// What rcluster adds to child_process.
import {
  exec,
  execFile,
  execFileSync,
  execSync,
  fork,
  spawn,
  spawnSync,
  type ChildResourceUsage,
  type KillTreeResult,
} from 'rcluster/child_process';
import { expectType } from './expect_type.mjs';

const child = spawn('server', [], {
  stdio: 'inherit',
  dieWithParent: true,
  rlimits: { nofile: 1024, core: { soft: 0, hard: 'unlimited' } },
  ionice: { class: 'best-effort', level: 7 },
  affinity: [0, 1],
  umask: '077',
  killTree: true,
  killAfter: 5000,
});
expectType<KillTreeResult>(child.killTree('SIGTERM'));
expectType<number | undefined>(child.resourceUsage()?.maxRSS);

fork('child.js', [], { closeFds: true, nice: 5 });
execFile('true', [], { closeGrace: 100 }, () => {});
spawnSync('true', [], { oomScoreAdj: 500 });
exec('true', { groups: [1], cgroup: 'mine', affinity: 0, umask: 0o27 });
execSync('true', { rlimits: { nofile: Infinity }, ionice: 'idle' });
execFileSync('true', { nice: 1 });
expectType<ChildResourceUsage | undefined>(child.resourceUsage());
for (const { pid, error } of child.killTree(9).failed) {
  expectType<number>(pid);
  expectType<string | undefined>(error.code);
}
// @ts-expect-error no such limit
spawn('true', [], { rlimits: { nofiles: 1 } });
// @ts-expect-error no such class
spawn('true', [], { ionice: 'eager' });
// @ts-expect-error milliseconds
spawn('true', [], { killAfter: '5s' });
// @ts-expect-error no such signal
child.killTree('SIGNONE');
