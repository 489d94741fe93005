/** How the best prompt came to be: each better one, with what changed word by word. */
import type { LineageEntry } from '../../../src/server/contract.ts';
import { kinship, wordDiff } from '../diff.ts';
import { number } from '../format.ts';
import { ModelText } from './bits.tsx';

/** Of prompts that share fewer words, the newer one stands whole: marks would tell nothing. */
const RELATED = 0.34;

export function Lineage({ entries }: { entries: readonly LineageEntry[] }) {
  if (entries.length === 0) return <p className="muted">No prompt has been the best yet.</p>;
  const shown = entries.map((entry, i) => ({ ...entry, before: entries[i - 1]?.prompt }));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section className="frame short" aria-label="Lineage, newest first" tabIndex={0}>
      <ol className="lineage">
        {shown.reverse().map(({ step, prompt, reward, before }) => (
          <li key={`${step} ${prompt}`}>
            <span className="muted">
              step {step} · reward {number(reward)}
            </span>
            {before !== undefined && kinship(before, prompt) >= RELATED ? (
              <Diff before={before} after={prompt} />
            ) : (
              <p>
                <ModelText text={prompt} />
              </p>
            )}
          </li>
        ))}
      </ol>
    </section>
  );
}

/** Words that went are struck through, words that came underlined: told apart without colour. */
export function Diff({ before, after }: { before: string; after: string }) {
  return (
    <p className="diff">
      {wordDiff(before, after).map(({ text, kind }, i) => {
        const key = `${i} ${kind}`;
        if (kind === 'same') return <ModelText key={key} text={text} />;
        const Mark = kind === 'added' ? 'ins' : 'del';
        return (
          <Mark key={key}>
            <ModelText text={text} />
          </Mark>
        );
      })}
    </p>
  );
}
