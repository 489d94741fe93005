/** Says at the end of the tests which of them were skipped; their names say what they need. */
import type { Reporter, TestModule } from 'vitest/node';

export class SkippedReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const lines = modules.flatMap((module) => {
      const places = new Map<string, number>();
      for (const test of module.children.allTests('skipped')) {
        // Of a whole group that needs something, one line is enough.
        const group = /\(needs .*\)/.exec(test.fullName);
        const name = group ? test.fullName.slice(0, group.index + group[0].length) : test.fullName;
        places.set(name, (places.get(name) ?? 0) + 1);
      }
      return [...places].map(([name, n]) => `  ${name}${n > 1 ? `: ${n} tests` : ''}`);
    });
    process.stdout.write(
      lines.length > 0 ? `\nSkipped\n${lines.join('\n')}\n` : '\nSkipped: nothing\n',
    );
  }
}
