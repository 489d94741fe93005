/**
 * Where Whetstone keeps what it makes: WHETSTONE_HOME, else the platform's folder for application
 * data. The environment comes in as an argument; the two stores pass the process's own.
 */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The folder of runs and models. It may not exist yet. */
export function dataFolder(env: Environment, platform: string = process.platform): string {
  if (env.WHETSTONE_HOME) return resolve(env.WHETSTONE_HOME);
  const home = homeFolder(env);
  if (platform === 'darwin') return join(home, 'Library', 'Application Support', 'whetstone');
  if (platform === 'win32') {
    return join(env.LOCALAPPDATA || join(home, 'AppData', 'Local'), 'whetstone');
  }
  return join(env.XDG_DATA_HOME || join(home, '.local', 'share'), 'whetstone');
}

/** The user's own folder. */
export function homeFolder(env: Environment): string {
  return env.HOME || env.USERPROFILE || homedir();
}
