#!/usr/bin/env node
/** The command `whetstone`. Loads as little as it can: every command's work is imported on demand. */
import module from 'node:module';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`whetstone: needs Node 20.19 or later, this is ${process.versions.node}\n`);
  process.exit(1);
}
// Node 22.8 and later keep compiled code between starts.
(module as { enableCompileCache?: () => void }).enableCompileCache?.();
const { runCli } = await import('./program.ts');
await runCli(process.argv);
