/**
 * The prompt card as one HTML file: no scripts, nothing loaded, dark and light by the reader's setting.
 * All texts are escaped; the exact prompt and template are JSON in an element of their own, which is
 * what is read again.
 */
import { DataError } from '../../errors.ts';
import { html as escaped, htmlPrompt } from '../../runs/report/escape.ts';
import { STYLE } from '../../runs/report/style.ts';
import { formatNumber } from '../../util/format.ts';
import { type Card, cardOf, type FactGroup } from '../card.ts';
import { exactOf, readExact } from '../exact.ts';
import { allKinds, exporter } from '../exporter.ts';
import { jsonText } from '../literal.ts';
import { jsonOf, textOf } from '../read-files.ts';

const FILE = 'prompt-card.html';
const EXACT = '<pre id="exact">';

export const html = exporter({
  name: 'html',
  kinds: allKinds,
  write: (finding) => [{ name: FILE, data: draw(cardOf(finding), exactOf(finding)) }],
  read: ({ files, finding }) => {
    const text = textOf(files, FILE);
    const from = text.indexOf(EXACT);
    const end = text.indexOf('</pre>', from);
    if (from < 0 || end < 0) throw new DataError(`${FILE}: holds no element "exact"`);
    const json = unescaped(text.slice(from + EXACT.length, end));
    return readExact(jsonOf(json, FILE), FILE, finding);
  },
});

/** Names and values side by side where there is room. */
const OWN_STYLE = `
dl{display:grid;grid-template-columns:minmax(8rem,16rem) 1fr;gap:.15rem 1rem;font-size:.875rem}
dt,dd{margin:0;min-width:0;overflow-wrap:anywhere}
@media (max-width:40rem){dl{display:block}dd{margin-bottom:.4rem}}
`;

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  '#39': "'",
};

function unescaped(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => ENTITIES[name]!);
}

function draw(card: Card, exact: object): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>${escaped(card.title)}</title>
<style>${STYLE}${OWN_STYLE}</style>
</head>
<body>
<main>
<h1>${htmlPrompt(card.title)}</h1>
<p class="lede">${htmlPrompt(card.lede)}</p>
${card.prompt === undefined ? '' : `<section class="verdict"><h2>The prompt</h2><p><code>${htmlPrompt(card.prompt)}</code></p></section>`}
${section('How to use it', `<p>Template: <code>${htmlPrompt(card.template)}</code></p>${list([...card.use, ...card.files.map(({ name, sha256 }) => `File ${name}, SHA-256 ${sha256}`)])}`)}
${section('Scores', scores(card))}
${section('Limits', list(card.limits))}
${card.facts.map(facts).join('\n')}
${lineage(card)}
${section('Found again', `<pre>${escaped(card.commands.join('\n'))}</pre><details><summary>The configuration, as whetstone.yaml</summary><pre>${lines(card.configuration)}</pre></details>`)}
${section('Exactly', `<p class="note">Prompt and template as JSON: what is read again by programs. Characters that do not show stand as escapes.</p>${EXACT}${escaped(jsonText(exact))}</pre>`)}
</main>
</body>
</html>
`;
}

function section(title: string, content: string): string {
  return `<section><h2>${escaped(title)}</h2>${content}</section>`;
}

function list(items: readonly string[]): string {
  return `<ul>${items.map((item) => `<li>${htmlPrompt(item)}</li>`).join('')}</ul>`;
}

/** Several lines of text. */
function lines(text: string): string {
  return text.split('\n').map(htmlPrompt).join('\n');
}

function scores(card: Card): string {
  const rows = card.scores.map((row) => [
    row.isFound ? `<b>${htmlPrompt(row.what)}</b>` : htmlPrompt(row.what),
    `<code>${htmlPrompt(row.prompt)}</code>`,
    row.train ?? '–',
    row.validation,
    row.test,
  ]);
  const notes = card.scoreNotes.map((note) => `<p class="note">${htmlPrompt(note)}</p>`);
  return table(['Which', 'Prompt', 'Train', 'Validation', 'Sealed test'], rows) + notes.join('');
}

function facts({ title, facts: all }: FactGroup): string {
  const items = all.map(
    ([name, value]) => `<dt>${htmlPrompt(name)}</dt><dd>${htmlPrompt(value)}</dd>`,
  );
  return section(title, `<dl>${items.join('')}</dl>`);
}

function lineage(card: Card): string {
  if (card.lineage.length === 0) return '';
  const rows = card.lineage.map(({ step, reward, prompt }) => [
    String(step),
    formatNumber(reward),
    `<code>${htmlPrompt(prompt)}</code>`,
  ]);
  const note = 'The best prompts of the search in the order in which they became so.';
  return section(
    'Lineage',
    `<p class="note">${note}</p>${table(['Step', 'Reward on train', 'Prompt'], rows)}`,
  );
}

/** Cells are HTML already. On a narrow screen each row becomes a card, its cells named. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const body = rows.map(
    (row) =>
      `<tr>${row.map((cell, i) => `<td data-label="${escaped(head[i]!)}"><span>${cell}</span></td>`).join('')}</tr>`,
  );
  return `<table><thead><tr>${head.map((title) => `<th scope="col">${escaped(title)}</th>`).join('')}</tr></thead><tbody>${body.join('')}</tbody></table>`;
}
