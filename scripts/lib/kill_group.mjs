/**
 * Kills a process group; one that is gone already is no error.
 * @param {number | undefined} pid of the group's leader
 */
export function killGroup(pid) {
  try {
    if (pid) process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}
